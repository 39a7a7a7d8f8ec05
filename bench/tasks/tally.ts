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

/**
 * Sums calls that were made at the same time by several clients. Their rates add up. Of each client only the values at `RANKS` are known, so
 * a call counts as one of the next higher rank: the values of the sum are upper bounds.
 */
export function sumOf(all: readonly Tallied[]): Tallied {
  const calls = all.reduce((sum, each) => sum + each.calls, 0)
  const perSecond = all.reduce((sum, each) => sum + each.calls / each.seconds, 0)
  const known = all
    .flatMap(({ calls, ranksMs }) =>
      ranksMs.map((ms, at) => ({ ms, calls: (calls * ((RANKS[at] ?? 0) - (RANKS[at - 1] ?? 0))) / 100 })),
    )
    .sort((a, b) => a.ms - b.ms)
  let at = 0
  let below = known[0]?.calls ?? 0
  const ranksMs = RANKS.map((rank) => {
    while (at < known.length - 1 && below < (rank / 100) * calls * (1 - Number.EPSILON * known.length))
      below += known[++at]?.calls ?? 0
    return known[at]?.ms ?? 0
  })
  return {
    calls,
    bytes: all.reduce((sum, each) => sum + each.bytes, 0),
    seconds: perSecond === 0 ? 1 : calls / perSecond,
    ranksMs,
    failures: all.flatMap(({ failures }) => failures).slice(0, FAILURES_RETAINED_MAX),
  }
}
