import { isError, MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { S3_FAILURES_MAX, S3_OPEN_MS } from './s3-limits.ts'

/**
 * Stops calls to an endpoint that is down: after `S3_FAILURES_MAX` consecutive `UNAVAILABLE` all calls are
 * refused for `S3_OPEN_MS`; then one is let through, and its outcome closes or reopens the circuit.
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

  /** Calls are refused at present. */
  get open(): boolean {
    if (this.#failures < S3_FAILURES_MAX) return false
    return this.#probing || this.#clock.monotonicMs() < this.#shutUntilMs
  }

  /** Rejects with `UNAVAILABLE` while calls are refused, otherwise as the call does. */
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
      // Any other answer, including a refusal, shows that the endpoint is up.
      this.#failures = isError(error, 'UNAVAILABLE') ? this.#failures + 1 : 0
      this.#shutUntilMs = this.#clock.monotonicMs() + S3_OPEN_MS
      throw error
    } finally {
      if (probe) this.#probing = false
    }
  }
}
