import { setMaxListeners } from 'node:events'
import { isError, MayflyError } from '../../protocol/errors.ts'
import { CALL_MS_DEFAULT } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallContext } from '../../protocol/wire/call-context.ts'
import type { CallerOptions } from '../options.ts'

/** The deadline of a call, monotonic ms, and its abort signal. */
export interface Deadline {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** Of a traced call. */
  readonly context?: CallContext | undefined
  /** The error of the previous attempt. */
  readonly failure?: unknown
}

/** A symbol in the options of a traced call, so that no program sets it by name and validation ignores it. */
export const callContext: unique symbol = Symbol('call context')

/** Of the options of a traced call. */
export function contextIn(options: object): CallContext | undefined {
  return (options as { [callContext]?: CallContext })[callContext]
}

export function deadlineOf(options: CallerOptions, clock: Clock): Deadline {
  const { deadlineMs, signal } = options
  // Every message of a call listens to the signal, and calls may share it: Node would report a leak.
  if (signal !== undefined) setMaxListeners(0, signal)
  return {
    deadlineMs: clock.monotonicMs() + (deadlineMs ?? CALL_MS_DEFAULT),
    signal,
    context: contextIn(options),
  }
}

/**
 * The result of `promise`, or `DEADLINE_EXCEEDED`, `ABORTED` or the `TLS_FAILED` of the previous attempt. After a suspension of the process too, so
 * that nothing is sent for an expired call.
 */
export function within<Result>(bounds: Deadline, clock: Clock, promise: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => settle(() => reject(abortedBy(bounds.signal)))
    const late = (): void => {
      const { failure } = bounds
      if (isError(failure, 'TLS_FAILED')) return reject(failure)
      const why = failure instanceof MayflyError ? `: ${failure.reason}` : ''
      reject(
        new MayflyError('DEADLINE_EXCEEDED', `No node could be reached in time${why}`, { cause: failure }),
      )
    }
    const timer = clock.after(Math.max(0, bounds.deadlineMs - clock.monotonicMs()), () => settle(late))
    const settle = (how: () => void): void => {
      timer.cancel()
      bounds.signal?.removeEventListener('abort', onAbort)
      how()
    }
    bounds.signal?.addEventListener('abort', onAbort, { once: true })
    if (bounds.signal?.aborted) onAbort()
    promise.then(
      (result) => settle(() => (clock.monotonicMs() > bounds.deadlineMs ? late() : resolve(result))),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}

export function abortedBy(signal: AbortSignal | undefined): MayflyError {
  return new MayflyError('ABORTED', 'The call was aborted', { cause: signal?.reason })
}
