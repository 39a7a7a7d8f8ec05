import type { Clock, Timer } from '../../protocol/runtime.ts'
import { repeat } from '../../protocol/runtime.ts'
import { BODY_BYTES_PER_LOOK_MIN, BODY_LOOK_MS } from '../limits.ts'

/** All waits are checked at this interval. */
const LOOK_MS = 1_000

/** All waits for clients, checked by one timer. */
export class Paces {
  readonly clock: Clock
  readonly waiting = new Set<Pace>()
  readonly #timer: Timer

  constructor(clock: Clock) {
    this.clock = clock
    this.#timer = repeat(clock, LOOK_MS, () => this.#look())
    this.#timer.unref()
  }

  stop(): void {
    this.#timer.cancel()
  }

  #look(): void {
    const nowMs = this.clock.monotonicMs()
    for (const pace of this.waiting) pace.check(nowMs)
  }
}

/**
 * The pace of one direction of one request: `BODY_BYTES_PER_LOOK_MIN` have to pass in `BODY_LOOK_MS` of waiting for the client. Time that the
 * gateway itself needs does not count.
 */
export class Pace {
  readonly #paces: Paces
  readonly #onStall: () => void
  #sinceMs = 0
  #waitedMs = 0
  #allowedMs = BODY_LOOK_MS
  #bytes = 0

  constructor(paces: Paces, onStall: () => void) {
    this.#paces = paces
    this.#onStall = onStall
  }

  /** The client has to send, or to take `bytes`. */
  wait(bytes = BODY_BYTES_PER_LOOK_MIN): void {
    this.#sinceMs = this.#paces.clock.monotonicMs()
    this.#allowedMs = BODY_LOOK_MS * Math.max(1, bytes / BODY_BYTES_PER_LOOK_MIN)
    this.#paces.waiting.add(this)
  }

  /** The wait has ended, with so many bytes. */
  moved(bytes: number): void {
    this.#paces.waiting.delete(this)
    this.#bytes += bytes
    this.#waitedMs += this.#paces.clock.monotonicMs() - this.#sinceMs
    if (this.#bytes < BODY_BYTES_PER_LOOK_MIN) return
    this.#bytes = 0
    this.#waitedMs = 0
  }

  check(nowMs: number): void {
    if (this.#waitedMs + nowMs - this.#sinceMs <= this.#allowedMs) return
    this.#paces.waiting.delete(this)
    this.#onStall()
  }
}
