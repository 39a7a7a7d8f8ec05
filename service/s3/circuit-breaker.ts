import { isError, MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { S3_FAILURES_MAX, S3_OPEN_MS } from './s3-limits.ts'

/**
 * Keeps calls from an endpoint that is down: after `S3_FAILURES_MAX` in a row that ended in `UNAVAILABLE` all are refused at once
 * for `S3_OPEN_MS`; then a single one is let through, and its outcome opens the way for all or shuts it again.
 */
export class CircuitBreaker {
  readonly #clock: Clock
  readonly #what: string
  #failures = 0
  #shutUntilMs = 0
  #probing = false

  /** `what` names the endpoint in messages. */
  constructor(what: string, clock: Clock) {
    this.#what = what
    this.#clock = clock
  }

  /** Calls are refused for now. */
  get open(): boolean {
    if (this.#failures < S3_FAILURES_MAX) return false
    return this.#probing || this.#clock.monotonicMs() < this.#shutUntilMs
  }

  /** Rejects with `UNAVAILABLE` where calls are refused, else as the call does. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.open)
      throw new MayflyError('UNAVAILABLE', `${this.#what} has not answered and is not asked for the moment`)
    const probe = this.#failures >= S3_FAILURES_MAX
    if (probe) this.#probing = true
    try {
      const result = await call()
      this.#failures = 0
      return result
    } catch (error) {
      // Any other answer, also a refusal, shows that the endpoint is there.
      this.#failures = isError(error, 'UNAVAILABLE') ? this.#failures + 1 : 0
      this.#shutUntilMs = this.#clock.monotonicMs() + S3_OPEN_MS
      throw error
    } finally {
      if (probe) this.#probing = false
    }
  }
}
