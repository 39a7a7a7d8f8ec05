const WIDTH = 30

/** A progress bar on a terminal; elsewhere, as in a log, one line per quarter. */
export class Progress {
  readonly #name: string
  readonly #total: number
  #quarters = -1
  #finished = false

  constructor(name: string, total: number) {
    this.#name = name
    this.#total = total
    this.show(0)
  }

  show(done: number): void {
    if (this.#finished) return
    this.#finished = done >= this.#total
    const full = Math.round((WIDTH * done) / this.#total)
    const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full)
    const line = `${this.#name.padEnd(7)} ${bar} ${done}/${this.#total}`
    if (process.stdout.isTTY) process.stdout.write(`\r${line}${this.#finished ? '\n' : ''}`)
    else this.#log(line, Math.floor((4 * done) / this.#total))
  }

  #log(line: string, quarters: number): void {
    if (quarters > this.#quarters) console.log(line)
    this.#quarters = Math.max(quarters, this.#quarters)
  }
}
