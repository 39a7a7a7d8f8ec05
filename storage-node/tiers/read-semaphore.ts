import { TIER_READS_BYTES_MAX } from './limits.ts'

/**
 * A weighted FIFO semaphore, by default over bytes in flight from one place: a lower tier, another node or the
 * persistent store. Tasks of weight 1 are bounded in number.
 */
export class ReadSemaphore {
  readonly #max: number
  #bytes = 0
  readonly #waiting: { readonly bytes: number; readonly begin: () => void }[] = []

  constructor(max = TIER_READS_BYTES_MAX) {
    this.#max = max
  }

  /** Runs `read` when there is room. A read above the bound runs alone. */
  async run<Result>(bytes: number, read: () => Promise<Result>): Promise<Result> {
    if (!this.#hasRoom(bytes) || this.#waiting.length > 0)
      await new Promise<void>((begin) => this.#waiting.push({ bytes, begin }))
    else this.#bytes += bytes
    try {
      return await read()
    } finally {
      this.#bytes -= bytes
      this.#beginNext()
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#max
  }

  #beginNext(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || !this.#hasRoom(next.bytes)) return
      this.#waiting.shift()
      this.#bytes += next.bytes
      next.begin()
    }
  }
}
