import { formatBytes } from './table.ts'
import type { Terminal } from './terminal.ts'

const BAR_CHARACTERS = 24
/** Minimum interval between two redraws. */
const REDRAW_MS = 100

/** `████░░░░  50 %`: the part of the bar that is full, and the part in per cent. */
export function bar(part: number, characters = BAR_CHARACTERS): string {
  const within = Math.min(1, Math.max(0, part))
  const full = Math.floor(within * characters)
  return `${'█'.repeat(full)}${'░'.repeat(characters - full)} ${String(Math.floor(within * 100)).padStart(3)} %`
}

/** The progress of a transfer on standard error; nothing if that is no terminal. */
export class Progress {
  readonly #what: string
  /** Null if it is not known. */
  readonly #total: number | null
  readonly #redraw: Terminal['redraw']
  readonly #sinceMs = performance.now()
  /** The first piece is drawn, however quick the transfer is. */
  #drawnMs = Number.NEGATIVE_INFINITY
  #done = 0

  constructor({ redraw }: Pick<Terminal, 'redraw'>, { what, total }: { what: string; total: number | null }) {
    this.#redraw = redraw
    this.#what = what
    this.#total = total
  }

  add(bytes: number): void {
    this.#done += bytes
    const nowMs = performance.now()
    if (this.#redraw === undefined || nowMs - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = nowMs
    this.#redraw(this.line(nowMs - this.#sinceMs))
  }

  /** Removes the line. */
  end(): void {
    this.#redraw?.('')
  }

  line(elapsedMs: number): string {
    const perSecond = this.#done / Math.max(0.001, elapsedMs / 1000)
    const amount = `${formatBytes(this.#done)}  ${formatBytes(perSecond)}/s`
    if (this.#total === null) return `${this.#what}  ${amount}`
    const restSeconds = Math.ceil((this.#total - this.#done) / Math.max(1, perSecond))
    return `${this.#what} ${bar(this.#total === 0 ? 1 : this.#done / this.#total)}  ${amount}  ${restSeconds} s left`
  }
}
