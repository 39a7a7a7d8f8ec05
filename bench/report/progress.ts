const CLEAR_LINE = '\r\u001b[K'
const BAR_CHARACTERS = 24

/** The output of progress: standard error. */
export interface Shown {
  readonly isTTY?: boolean | undefined
  write(text: string): unknown
}

/** Prints the progress of a suite as lines; on a terminal also as a bar below them. */
export class Progress {
  readonly #suite: string
  readonly #shown: Shown
  readonly #clock: () => number
  readonly #sinceMs: number
  #bar = ''

  constructor(suite: string, shown: Shown, clock: () => number = () => performance.now()) {
    this.#suite = suite
    this.#shown = shown
    this.#clock = clock
    this.#sinceMs = clock()
  }

  say(line: string): void {
    this.#shown.write(`${this.#bar === '' ? '' : CLEAR_LINE}${line}\n${this.#bar}`)
  }

  /** `part` of the suite is done, from 0 to 1. */
  advance(part: number): void {
    if (this.#shown.isTTY !== true) return
    const full = Math.floor(part * BAR_CHARACTERS)
    const drawn = `${'█'.repeat(full)}${'░'.repeat(BAR_CHARACTERS - full)}`
    const restMs = ((this.#clock() - this.#sinceMs) / part) * (1 - part)
    const rest = part > 0 ? `  ${Math.ceil(restMs / 1000)} s left` : ''
    this.#bar = `${this.#suite} ${drawn} ${Math.floor(part * 100)} %${rest}`
    this.#shown.write(`${CLEAR_LINE}${this.#bar}`)
  }

  /** Removes the bar. */
  end(): void {
    if (this.#bar !== '') this.#shown.write(CLEAR_LINE)
    this.#bar = ''
  }
}
