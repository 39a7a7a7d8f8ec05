import type { Clock, Timer } from '../../protocol/runtime.ts'
import { SHARED_READ_RETAIN_MS, SHARED_READ_RETAINED_BYTES_MAX } from '../budget/limits.ts'

/** The shared result of one read. */
export interface SharedRead<Result> {
  readonly result: Result
  /** Idempotent. */
  release(): void
}

interface InFlightRead<Result> {
  readonly result: Promise<Result>
  readonly bytes: number
  readonly forget: () => void
  holders: number
  /** Several callers have asked for it. */
  isShared: boolean
  isFound: boolean
  /** Retention timer while nobody holds the result; else null. */
  retention: Timer | null
}

/**
 * Deduplicates reads of a job by name (as Go's singleflight): callers that ask before the last answer is sent
 * share one result. A result that several callers asked for is retained a little longer, for late ones.
 */
export class SharedReads<Result> {
  readonly #clock: Clock
  readonly #jobs = new WeakMap<object, Map<string, InFlightRead<Result>>>()
  /** In the order in which they were released. */
  readonly #retained = new Set<InFlightRead<Result>>()
  #retainedBytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async share(
    job: object,
    { name, bytes }: { name: string; bytes: number },
    read: () => Promise<Result>,
  ): Promise<SharedRead<Result>> {
    const reads = this.#readsOf(job)
    const present = reads.get(name)
    const inFlight = present ?? this.#begin(reads, { name, bytes }, read)
    inFlight.isShared = present !== undefined
    this.#stopRetaining(inFlight)
    inFlight.holders++
    let isHeld = true
    const release = (): void => {
      if (isHeld && --inFlight.holders === 0) this.#retainOrForget(inFlight)
      isHeld = false
    }
    try {
      const result = await inFlight.result
      inFlight.isFound = result !== undefined && result !== null
      return { result, release }
    } catch (error) {
      // The next caller reads again.
      inFlight.forget()
      throw error
    }
  }

  #begin(
    flights: Map<string, InFlightRead<Result>>,
    { name, bytes }: { name: string; bytes: number },
    read: () => Promise<Result>,
  ): InFlightRead<Result> {
    const forget = (): void => {
      if (flights.get(name) === flight) flights.delete(name)
    }
    const flight: InFlightRead<Result> = {
      result: read(),
      bytes,
      forget,
      holders: 0,
      isShared: false,
      isFound: false,
      retention: null,
    }
    flights.set(name, flight)
    return flight
  }

  #retainOrForget(flight: InFlightRead<Result>): void {
    if (!flight.isShared || !flight.isFound || flight.bytes > SHARED_READ_RETAINED_BYTES_MAX)
      return flight.forget()
    for (const oldest of this.#retained) {
      if (this.#retainedBytes + flight.bytes <= SHARED_READ_RETAINED_BYTES_MAX) break
      this.#forget(oldest)
    }
    flight.retention = this.#clock.after(SHARED_READ_RETAIN_MS, () => this.#forget(flight))
    flight.retention.unref()
    this.#retained.add(flight)
    this.#retainedBytes += flight.bytes
  }

  #forget(flight: InFlightRead<Result>): void {
    this.#stopRetaining(flight)
    flight.forget()
  }

  /** Ends its retention. */
  #stopRetaining(flight: InFlightRead<Result>): void {
    if (!this.#retained.delete(flight)) return
    flight.retention?.cancel()
    flight.retention = null
    this.#retainedBytes -= flight.bytes
  }

  #readsOf(job: object): Map<string, InFlightRead<Result>> {
    let flights = this.#jobs.get(job)
    if (flights === undefined) {
      flights = new Map()
      this.#jobs.set(job, flights)
    }
    return flights
  }
}
