import type { Clock, Timer } from '../../protocol/runtime.ts'
import { HERD_BYTES_MAX, HERD_MS } from '../budget/limits.ts'

/** Something that was read for several who asked for the same. */
export interface SharedRead<Result> {
  readonly result: Result
  /** Calling it again changes nothing. */
  release(): void
}

interface Flight<Result> {
  readonly result: Promise<Result>
  readonly bytes: number
  readonly forget: () => void
  holders: number
  /** More than one have asked. */
  isHerd: boolean
  isFound: boolean
  /** Until it is forgotten, where nobody holds it any more. */
  lingering: Timer | null
}

/**
 * Reads under way for jobs, by what they read: who asks for the same, before the last answer with it is sent, gets the same. Of a herd
 * some come late: what several have asked for stays a little longer.
 */
export class SharedReads<Result> {
  readonly #clock: Clock
  readonly #jobs = new WeakMap<object, Map<string, Flight<Result>>>()
  /** In the order in which they were let go of. */
  readonly #lingering = new Set<Flight<Result>>()
  #lingeringBytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async share(
    job: object,
    { name, bytes }: { name: string; bytes: number },
    read: () => Promise<Result>,
  ): Promise<SharedRead<Result>> {
    const flights = this.#flightsOf(job)
    const present = flights.get(name)
    const flight = present ?? this.#begin(flights, { name, bytes }, read)
    flight.isHerd = present !== undefined
    this.#keep(flight)
    flight.holders++
    let isHeld = true
    const release = (): void => {
      if (isHeld && --flight.holders === 0) this.#letGo(flight)
      isHeld = false
    }
    try {
      const result = await flight.result
      flight.isFound = result !== undefined && result !== null
      return { result, release }
    } catch (error) {
      // Whoever asks next reads anew.
      flight.forget()
      throw error
    }
  }

  #begin(
    flights: Map<string, Flight<Result>>,
    { name, bytes }: { name: string; bytes: number },
    read: () => Promise<Result>,
  ): Flight<Result> {
    const forget = (): void => {
      if (flights.get(name) === flight) flights.delete(name)
    }
    const flight: Flight<Result> = {
      result: read(),
      bytes,
      forget,
      holders: 0,
      isHerd: false,
      isFound: false,
      lingering: null,
    }
    flights.set(name, flight)
    return flight
  }

  #letGo(flight: Flight<Result>): void {
    if (!flight.isHerd || !flight.isFound || flight.bytes > HERD_BYTES_MAX) return flight.forget()
    for (const oldest of this.#lingering) {
      if (this.#lingeringBytes + flight.bytes <= HERD_BYTES_MAX) break
      this.#forget(oldest)
    }
    flight.lingering = this.#clock.after(HERD_MS, () => this.#forget(flight))
    flight.lingering.unref()
    this.#lingering.add(flight)
    this.#lingeringBytes += flight.bytes
  }

  #forget(flight: Flight<Result>): void {
    this.#keep(flight)
    flight.forget()
  }

  /** It does not linger any more. */
  #keep(flight: Flight<Result>): void {
    if (!this.#lingering.delete(flight)) return
    flight.lingering?.cancel()
    flight.lingering = null
    this.#lingeringBytes -= flight.bytes
  }

  #flightsOf(job: object): Map<string, Flight<Result>> {
    let flights = this.#jobs.get(job)
    if (flights === undefined) {
      flights = new Map()
      this.#jobs.set(job, flights)
    }
    return flights
  }
}
