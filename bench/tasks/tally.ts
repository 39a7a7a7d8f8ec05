/** The ranks at which a distribution is stored. They are denser in the tail, where systems differ. */
export const RANKS = [
  0, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.9, 99.99, 100,
] as const

/** The result of calls of one kind. */
export interface Tallied {
  readonly calls: number
  /** Payload of puts and gets. */
  readonly bytes: number
  readonly seconds: number
  /** At each of `RANKS`; all 0 if there were no calls. */
  readonly ranksMs: readonly number[]
  readonly failures: readonly string[]
}

const FAILURES_RETAINED_MAX = 5

/** Records latencies at full speed, without an object per call. */
export class Tally {
  #ms = new Float64Array(65_536)
  #calls = 0
  #bytes = 0
  readonly #failures: string[] = []

  add(ms: number, bytes: number): void {
    if (this.#calls === this.#ms.length) {
      const larger = new Float64Array(2 * this.#calls)
      larger.set(this.#ms)
      this.#ms = larger
    }
    this.#ms[this.#calls++] = ms
    this.#bytes += bytes
  }

  /** One failure makes the run invalid; only the first few are retained as examples. */
  fail(what: string): void {
    if (this.#failures.length < FAILURES_RETAINED_MAX) this.#failures.push(what)
  }

  result(seconds: number): Tallied {
    const sorted = this.#ms.subarray(0, this.#calls).sort()
    const at = (rank: number): number => sorted[Math.max(0, Math.ceil((rank / 100) * sorted.length) - 1)] ?? 0
    return {
      calls: this.#calls,
      bytes: this.#bytes,
      seconds,
      ranksMs: RANKS.map(at),
      failures: this.#failures,
    }
  }
}
