import type { Clock, Timer } from '../runtime.ts'

/** Deadlines may fire this much late, so that a connection needs one timer for many calls. */
const DEADLINE_SLACK_MS = 20

/** Watches the deadlines of many calls with one timer. */
export class DeadlineWatch {
  readonly #clock: Clock
  /** Ends calls whose deadline has passed, and returns the earliest remaining deadline. */
  readonly #endUntil: (nowMs: number) => number
  #timer: Timer | null = null
  /** When the timer fires next. */
  #checkMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, endUntil: (nowMs: number) => number) {
    this.#clock = clock
    this.#endUntil = endUntil
  }

  /** The timer keeps running when its call is done; the next call needs it too. */
  add(deadlineMs: number): void {
    if (deadlineMs + DEADLINE_SLACK_MS >= this.#checkMs) return
    this.#timer?.cancel()
    this.#checkMs = deadlineMs + DEADLINE_SLACK_MS
    this.#timer = this.#clock.after(Math.max(0, this.#checkMs - this.#clock.monotonicMs()), () => {
      this.#checkMs = Number.POSITIVE_INFINITY
      const next = this.#endUntil(this.#clock.monotonicMs())
      if (next !== Number.POSITIVE_INFINITY) this.add(next)
    })
    this.#timer.unref()
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
