import type { Clock, Timer } from '../runtime.ts'

/** A deadline may be noticed this much late, so that one timer of a connection serves for many calls. */
const DEADLINE_SLACK_MS = 20

/** Looks at the deadlines of many calls when the first of them is over. */
export class DeadlineWatch {
  readonly #clock: Clock
  /** Ends what is over by then, and gives the first deadline of the rest. */
  readonly #endUntil: (nowMs: number) => number
  #timer: Timer | null = null
  /** When the deadlines are looked at next. */
  #checkMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, endUntil: (nowMs: number) => number) {
    this.#clock = clock
    this.#endUntil = endUntil
  }

  /** The timer goes on when its call is done: the next has one as well. */
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
