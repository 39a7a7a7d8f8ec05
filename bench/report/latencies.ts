import type { LoggedCall } from '../load/call-log.ts'

/** Latencies of calls of one kind, in ms. */
export class Latencies {
  readonly #sorted: Float64Array
  readonly #seconds: number

  /** `ms` in any order; `seconds` is the time over which they were collected. */
  constructor(ms: readonly number[], seconds: number) {
    this.#sorted = Float64Array.from(ms).sort()
    this.#seconds = seconds
  }

  /** The nearest rank; 0 if there are no calls. */
  percentile(percent: number): number {
    const rank = Math.ceil((percent / 100) * this.#sorted.length)
    return this.#sorted[Math.max(0, rank - 1)] ?? 0
  }

  get count(): number {
    return this.#sorted.length
  }

  get callsPerSecond(): number {
    return this.#sorted.length / this.#seconds
  }

  /** Calls per second, then p50, p99, p999 and the maximum in ms. */
  cells(): string[] {
    const figures = [50, 99, 99.9, 100].map((percent) => this.percentile(percent).toFixed(2))
    return [this.callsPerSecond.toFixed(0), ...figures]
  }

  /** All latencies in ascending order, for the JSON of a report. */
  toJSON(): number[] {
    return [...this.#sorted]
  }
}

/** Of the calls that began within the ranges of time, `[from, to)` in ms since the Unix epoch. */
export function latenciesWithin(
  calls: readonly LoggedCall[],
  ...ranges: (readonly [number, number])[]
): Latencies {
  const within = calls.filter(({ atMs }) => ranges.some(([from, to]) => atMs >= from && atMs < to))
  const seconds = ranges.reduce((sum, [from, to]) => sum + (to - from) / 1000, 0)
  return new Latencies(
    within.map(({ ms }) => ms),
    seconds,
  )
}
