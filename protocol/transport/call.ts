import { answeredError, asMayflyError, isError, MayflyError } from '../errors.ts'
import { cancel } from '../operations/control-operations.ts'
import type { Operation, RequestOf } from '../operations/operation.ts'
import type { Runtime } from '../runtime.ts'
import type { CallContext } from '../wire/call-context.ts'
import type { Codec } from '../wire/codec.ts'
import { errorReply } from '../wire/error-reply.ts'
import type { Frame, Landing } from '../wire/frame.ts'
import { type Reader, violation } from '../wire/reader.ts'
import type { Outgoing, Payload } from './outbox.ts'
import type { SessionTrail } from './session-trail.ts'

export interface CallOptions {
  readonly payload?: Payload | undefined
  /** Monotonic ms. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  readonly context?: CallContext | undefined
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
  /** Its deadline is near, and the server was asked not to carry it out any more. */
  isEnding?: boolean
}

/** A call that waits to be sent. */
export interface Unsent {
  readonly operation: Operation<unknown, unknown>
  readonly request: unknown
  readonly payload: Payload | undefined
  readonly context: CallContext | undefined
}

/** The id of requests whose answer is ignored. */
export const NO_ID = 0

export function requestFrame<Request>(
  id: number,
  { operation, request }: Pick<Started<Request, unknown>, 'operation' | 'request'>,
  { payload, context }: Pick<CallOptions, 'payload' | 'context'>,
): Outgoing<Request> {
  return { id, kind: operation.number, codec: operation.request, head: request, context, payload }
}

/** The frame that asks a server to give up a call. */
export function cancelOf(id: number): Outgoing<RequestOf<typeof cancel>> {
  return { id: NO_ID, kind: cancel.number, codec: cancel.request, head: { id } }
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

/** Errors of calls that the server has not carried out and will not. */
const notCarriedOut = new WeakSet<Error>()

/** The deadline of a call passed while its answer was awaited: it may have been carried out. */
export function tooLate(): MayflyError {
  return new MayflyError('DEADLINE_EXCEEDED', 'No answer came in time')
}

/** The deadline of a call passed before it was sent. */
export function neverSent(): MayflyError {
  return inVain('The server took earlier calls for too long to send this one')
}

/** The error that a server has answered: one that it was asked to give up, near the deadline, was in vain. */
export function failureOf({ isEnding }: Pending, error: unknown): MayflyError {
  if (isEnding !== true || !isError(error, 'ABORTED')) return asMayflyError(error)
  return inVain('The server could not carry it out in time')
}

function inVain(what: string): MayflyError {
  const error = new MayflyError('DEADLINE_EXCEEDED', what)
  notCarriedOut.add(error)
  return error
}

/** Whether a call failed without having been carried out, and will not be. */
export function wasInVain(error: unknown): boolean {
  return error instanceof Error && notCarriedOut.has(error)
}

/** The head of an answer. Throws the error in the frame, or `PROTOCOL_VIOLATION` if it does not match the operation. */
export function headOf(frame: Frame, operation: Operation<unknown, unknown>, reader: Reader): unknown {
  if (frame.kind === 0) return readHead(frame, operation.reply, reader)
  throw answeredError(frame.kind, readHead(frame, errorReply, reader).reason)
}

/** Throws `PROTOCOL_VIOLATION`. */
export function readHead<Head>(frame: Frame, codec: Codec<Head>, reader: Reader): Head {
  if (frame.contextBytes > 0) throw violation('only requests have a context')
  reader.reset(frame.headMemory, frame.headStart, frame.headBytes)
  const head = codec.read(reader)
  reader.finish()
  return head
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
