/** How long a job has not been used. Times are monotonic ms. */
export class IdleTime {
  /** A flag, because reading the clock for each request costs more than finding the job. */
  #isUsed = false
  #usedMs: number

  constructor(nowMs: number) {
    this.#usedMs = nowMs
  }

  /** The job is used now; the next `take` learns it. */
  note(): void {
    this.#isUsed = true
  }

  /** Time since the last use; one since the last call counts as a use now. */
  take(nowMs: number): number {
    if (this.#isUsed) this.restart(nowMs)
    this.#isUsed = false
    return Math.max(0, nowMs - this.#usedMs)
  }

  restart(nowMs: number): void {
    this.#usedMs = nowMs
  }
}
