import type { ErrorCode } from '../../protocol/errors.ts'
import { type CallsReport, latencyBoundsMs } from '../../protocol/operations/reports.ts'
import type { Clock } from '../../protocol/runtime.ts'

/** Latency classes: one for each bound, and one above the last. */
const CLASSES = latencyBoundsMs.length + 1

/** Counters of one operation. */
export interface Counts {
  readonly kind: number
  requests: number
  receivedBytes: number
  /** By class of `latencyBoundsMs`; requests that waited are in none. */
  readonly latency: Float64Array
  latencyMs: number
  readonly errors: Map<ErrorCode, number>
  /** Requests of the present turn that are answered in it. */
  pending: number
}

/**
 * Counts the requests of a server in plain numbers. The time of a request that is answered at once is that of the turn in which it was read,
 * which `Turns` measures anyway; only a request that is answered later reads the clock.
 */
export class CallCounts {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  /** By operation number. */
  readonly #byKind: (Counts | undefined)[] = []
  /** With requests of the present turn. */
  readonly #touched: Counts[] = []
  #sentBytes = 0

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** A request that is answered in this turn, unless `defer` follows. */
  received(kind: number, payloadBytes: number): Counts {
    const counts = this.#byKind[kind] ?? this.#begin(kind)
    counts.requests++
    counts.receivedBytes += payloadBytes
    if (counts.pending++ === 0) this.#touched.push(counts)
    return counts
  }

  /** The request is answered later. Returns the time for `answered`. */
  defer(counts: Counts): number {
    counts.pending--
    return this.#clock.monotonicMs()
  }

  /** A request that was read at `fromMs` has been answered. */
  answered(counts: Counts, fromMs: number): void {
    observe(counts, this.#clock.monotonicMs() - fromMs, 1)
  }

  failed(counts: Counts, code: ErrorCode): void {
    counts.errors.set(code, (counts.errors.get(code) ?? 0) + 1)
  }

  sent(payloadBytes: number): void {
    this.#sentBytes += payloadBytes
  }

  /** The present turn took `ms`. */
  endTurn(ms: number): void {
    for (let counts = this.#touched.pop(); counts !== undefined; counts = this.#touched.pop()) {
      if (counts.pending > 0) observe(counts, ms, counts.pending)
      counts.pending = 0
    }
  }

  /** Of each operation that was called. */
  get all(): readonly Counts[] {
    return this.#byKind.filter((counts) => counts !== undefined)
  }

  /** Payload bytes of answers. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** The sums over `kinds`. */
  report(kinds: ReadonlySet<number>): CallsReport {
    const latency = new Array<number>(CLASSES).fill(0)
    let answered = 0
    let failed = 0
    for (const counts of this.all) {
      if (!kinds.has(counts.kind)) continue
      answered += counts.requests
      for (const errors of counts.errors.values()) failed += errors
      for (const [index, count] of counts.latency.entries()) latency[index] = (latency[index] ?? 0) + count
    }
    return { answered, failed, latency }
  }

  #begin(kind: number): Counts {
    const counts: Counts = {
      ...{ kind, requests: 0, receivedBytes: 0, latencyMs: 0, pending: 0 },
      latency: new Float64Array(CLASSES),
      errors: new Map(),
    }
    this.#byKind[kind] = counts
    return counts
  }
}

function observe(counts: Counts, ms: number, requests: number): void {
  let index = 0
  while (index < latencyBoundsMs.length && ms > (latencyBoundsMs[index] ?? 0)) index++
  counts.latency[index] = (counts.latency[index] ?? 0) + requests
  counts.latencyMs += ms * requests
}
