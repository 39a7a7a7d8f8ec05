import { MayflyError } from '../errors.ts'
import type { Operation } from '../operations/operation.ts'
import type { Runtime } from '../runtime.ts'
import type { Landing } from '../wire/frame.ts'
import type { Payload } from './outbox.ts'
import type { SessionTrail } from './session-trail.ts'

export interface CallOptions {
  readonly payload?: Payload | undefined
  /** Monotonic ms. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** Chooses the memory for a large payload of the answer; null allocates a buffer. */
  readonly land?: ((payloadBytes: number) => Landing | null) | undefined
}

/** Waits for the hello's answer. */
export interface Greeted {
  readonly resolve: (server: string) => void
  readonly reject: (error: Error) => void
}

/** Waits for one answer. Exactly one of `answered` and `failed` is called, once. */
export interface Waiting<Reply> {
  /** The receiver owns the memory of `payload`. */
  answered(head: Reply, payload: Buffer): void
  failed(error: Error): void
}

/** A call and its waiter. */
export interface Started<Request, Reply> {
  readonly operation: Operation<Request, Reply>
  readonly request: Request
  readonly waiting: Waiting<Reply>
  /** A mutation: if it is aborted, only the server can tell that it was not carried out. */
  readonly mutates?: boolean
}

export interface Answer<Reply> {
  readonly head: Reply
  /** The caller owns its memory. */
  readonly payload: Buffer
}

export interface Pending {
  readonly operation: Operation<unknown, unknown>
  readonly waiting: Waiting<unknown>
  readonly deadlineMs: number
  readonly land: CallOptions['land']
  readonly mutates: boolean
  /** Number of the frame with which the call was sent. */
  frame: number
}

/** A call that waits to be sent. */
export interface Unsent {
  readonly operation: Operation<unknown, unknown>
  readonly request: unknown
  readonly payload: Payload | undefined
}

/** Placeholder of a call that was given up: its id is reused only after its answer. */
export const givenUp = Symbol('a call that was given up')

/** The call, with `onAbort` called if `signal` aborts before its end. */
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

/** Errors of calls whose deadline passed before they were sent. */
const unsent = new WeakSet<Error>()

/** The deadline of a call passed: before it was sent, or while its answer was awaited. */
export function tooLate(wasSent: boolean): MayflyError {
  const what = wasSent
    ? 'No answer came in time'
    : 'The server took earlier calls for too long to send this one'
  const error = new MayflyError('DEADLINE_EXCEEDED', what)
  if (!wasSent) unsent.add(error)
  return error
}

/** Whether a call failed because its deadline passed before it was sent, so that the server never saw it. */
export function wasNeverSent(error: unknown): boolean {
  return error instanceof Error && unsent.has(error)
}

export function abortedBy(signal: AbortSignal): MayflyError {
  return new MayflyError('ABORTED', 'The call was aborted', { cause: signal.reason })
}

export function abortedTooLate(signal: AbortSignal): MayflyError {
  const what = 'The call was aborted after it was sent, and may be carried out'
  return new MayflyError('OUTCOME_UNKNOWN', what, { cause: signal.reason })
}

/** Of one connection's calling side. */
export interface CallerOptions {
  readonly runtime: Runtime
  readonly token: Uint8Array
  /** The session at this address, across connections. */
  readonly trail: SessionTrail
  /** Of the hello. */
  readonly deadlineMs: number
  /** Called repeatedly while calls wait and the server does not acknowledge them. */
  readonly onSilent?: () => void
}
