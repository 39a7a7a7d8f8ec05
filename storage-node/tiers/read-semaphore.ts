import { TIER_READS_BYTES_MAX } from './limits.ts'

/** Bounds what is read from one place at a time, be it a tier below RAM, another node or the kept store, by all of a node: the rest waits for its turn. */
export class ReadSemaphore {
  #bytes = 0
  readonly #waiting: { readonly bytes: number; readonly begin: () => void }[] = []

  /** Runs `read` in its turn. A read of more than may be under way runs alone. */
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
    return this.#bytes === 0 || this.#bytes + bytes <= TIER_READS_BYTES_MAX
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
