import { TIER_READS_BYTES_MAX } from './tier-limits.ts'

/** Bounds what is read from a tier below RAM at a time, by all of a node: who comes when that much is under way waits for his turn. */
export class TierReads {
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
