import { isError, MayflyError } from '../../protocol/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../protocol/limits.ts'
import { backoffMs, type Runtime, sleep } from '../../protocol/runtime.ts'

export interface RetryOptions {
  readonly runtime: Runtime
  /** On the monotonic clock; `Infinity` retries until `stopped`. */
  readonly deadlineMs: number
  readonly stopped: AbortSignal
}

/**
 * Repeats an idempotent call while its peer is unreachable. Rejects with the last error at the deadline, and with `UNAVAILABLE` once the
 * controller stops.
 */
export async function retry<T>(task: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { runtime, deadlineMs, stopped } = options
  for (let attempt = 0; ; attempt++) {
    if (stopped.aborted) throw new MayflyError('UNAVAILABLE', 'The controller is stopping')
    try {
      return await task()
    } catch (error) {
      if (!isError(error, 'UNAVAILABLE', 'CONNECTION_LOST', 'DEADLINE_EXCEEDED')) throw error
      const pauseMs = backoffMs(attempt, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, runtime.random)
      if (runtime.clock.monotonicMs() + pauseMs > deadlineMs) throw error
      await sleep(runtime.clock, pauseMs)
    }
  }
}
