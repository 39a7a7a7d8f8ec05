import { type CallsReport, latencyBoundsMs, noCalls } from '../../../protocol/operations/reports.ts'
import type { Clock } from '../../../protocol/runtime.ts'
import type { Node } from '../../records/node.ts'

/** Rate and latency of clients' calls since the last sample. */
export interface ViewedRates {
  readonly callsPerSecond: number
  readonly errorsPerSecond: number
  /** Milliseconds; null where nothing was called. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** Rates from the counters that nodes report. The counters of each node process start at 0. */
export class Rates {
  readonly #clock: Clock
  #seen = new Map<string, CallsReport>()
  #takenMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#takenMs = clock.monotonicMs()
  }

  /** The rates since the last call. */
  take(nodes: readonly Node[]): ViewedRates {
    const nowMs = this.#clock.monotonicMs()
    const seconds = Math.max(0.001, (nowMs - this.#takenMs) / 1000)
    this.#takenMs = nowMs
    const latency = noCalls.latency.slice()
    let answered = 0
    let failed = 0
    const seen = new Map<string, CallsReport>()
    for (const { record, report } of nodes) {
      if (report === null) continue
      const { calls } = report
      const before = this.#seen.get(record.id) ?? noCalls
      seen.set(record.id, calls)
      answered += Math.max(0, calls.answered - before.answered)
      failed += Math.max(0, calls.failed - before.failed)
      for (const [index, count] of calls.latency.entries())
        latency[index] = (latency[index] ?? 0) + Math.max(0, count - (before.latency[index] ?? 0))
    }
    this.#seen = seen
    return {
      callsPerSecond: answered / seconds,
      errorsPerSecond: failed / seconds,
      p50Ms: quantile(latency, 0.5),
      p99Ms: quantile(latency, 0.99),
    }
  }
}

/** Interpolated within its class, as `histogram_quantile` of Prometheus does. */
export function quantile(counts: readonly number[], fraction: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let below = 0
  for (const [index, count] of counts.entries()) {
    const rank = fraction * total - below
    const upperMs = latencyBoundsMs[index]
    // The last class has no upper bound.
    if (upperMs === undefined) break
    if (count > 0 && rank <= count) {
      const lowerMs = latencyBoundsMs[index - 1] ?? 0
      return lowerMs + (upperMs - lowerMs) * (rank / count)
    }
    below += count
  }
  return latencyBoundsMs.at(-1) ?? null
}
