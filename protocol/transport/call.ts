import { MayflyError } from '../errors.ts'
import type { Operation } from '../operations/operation.ts'
import type { Landing } from '../wire/frame.ts'
import type { Payload } from './outbox.ts'

export interface CallOptions {
  readonly payload?: Payload | undefined
  /** On the clock's monotonic scale. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** Asked where the answer's payload goes, if that is large; null is a buffer of its own. */
  readonly land?: ((payloadBytes: number) => Landing | null) | undefined
}

/** Who waits for the hello's answer. */
export interface Greeted {
  readonly resolve: (server: string) => void
  readonly reject: (error: Error) => void
}

/** Who waits for one answer. One of `withRequest` and `failed` is called, once. */
export interface Waiting<Reply> {
  /** `payload` is the receiver's own: nobody else has this memory. */
  answered(head: Reply, payload: Buffer): void
  failed(error: Error): void
}

/** One call, and who waits for its answer. */
export interface Started<Request, Reply> {
  readonly operation: Operation<Request, Reply>
  readonly request: Request
  readonly waiting: Waiting<Reply>
  /** It changes something: where it is aborted, only the server can say that it was not carried out. */
  readonly mutates?: boolean
}

export interface Answer<Reply> {
  readonly head: Reply
  /** The caller's own: nobody else has this memory. */
  readonly payload: Buffer
}

export interface Pending {
  readonly operation: Operation<unknown, unknown>
  readonly waiting: Waiting<unknown>
  readonly deadlineMs: number
  readonly land: CallOptions['land']
  readonly mutates: boolean
  /** Of the connection, with which the call was sent. */
  frame: number
}

/** A call that waits to be sent. */
export interface Unsent {
  readonly operation: Operation<unknown, unknown>
  readonly request: unknown
  readonly payload: Payload | undefined
}

/** In the place of a call that was given up: its id is used again only when its answer has come. */
export const givenUp = Symbol('a call that was given up')

/** The call as it is, with `onAbort` called when `signal` says so before its end. */
export function abortable(pending: Pending, signal: AbortSignal, onAbort: () => void): Pending {
  const { waiting } = pending
  const release = (): void => signal.removeEventListener('abort', onAbort)
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    ...pending,
    waiting: {
      answered: (head, payload) => {
        release()
        waiting.answered(head, payload)
      },
      failed: (error) => {
        release()
        waiting.failed(error)
      },
    },
  }
}

export function abortedBy(signal: AbortSignal): MayflyError {
  return new MayflyError('ABORTED', 'The call was aborted', { cause: signal.reason })
}

export function abortedTooLate(signal: AbortSignal): MayflyError {
  const what = 'The call was aborted after it was sent, and may be carried out'
  return new MayflyError('OUTCOME_UNKNOWN', what, { cause: signal.reason })
}
