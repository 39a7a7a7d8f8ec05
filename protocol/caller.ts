import { cancel, hello, ping, receipt } from './control-operations.ts'
import { errorReply } from './error-reply.ts'
import { answeredError, asMayflyError, isError, MayflyError } from './errors.ts'
import type { Frame, Landing } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { Hearing } from './hearing.ts'
import { CALLS_OUTSTANDING_MAX, CALLS_QUEUED_BYTES_MAX, PROTOCOL_VERSION } from './limits.ts'
import type { Link } from './link.ts'
import type { Operation } from './operation.ts'
import { Outbox, type Payload } from './outbox.ts'
import { Reader } from './reader.ts'
import type { Clock, Timer } from './runtime.ts'

export interface CallOptions {
  readonly payload?: Payload | undefined
  /** On the clock's monotonic scale. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  /** Asked where the answer's payload goes, if that is large; null is a buffer of its own. */
  readonly land?: ((payloadBytes: number) => Landing | null) | undefined
}

/** Who waits for one answer. One of `answered` and `failed` is called, once. */
export interface Waiting<Reply> {
  /** `payload` is the receiver's own: nobody else has this memory. */
  answered(head: Reply, payload: Buffer): void
  failed(error: Error): void
}

interface CallerOptions {
  readonly clock: Clock
  readonly token: Uint8Array
  /** Names the client over all its connections; empty for one that repeats nothing. */
  readonly session: Uint8Array
  /** For the hello's answer. */
  readonly deadlineMs: number
  /** Told again and again while calls wait and the server does not even say that they came. */
  readonly onSilent?: () => void
}

export interface Answer<Reply> {
  readonly head: Reply
  /** The caller's own: nobody else has this memory. */
  readonly payload: Buffer
}

interface Pending {
  readonly operation: Operation<unknown, unknown>
  readonly waiting: Waiting<unknown>
  readonly deadlineMs: number
  readonly land: CallOptions['land']
  /** Of the connection, with which the call was sent. */
  frame: number
}

/** A call that waits to be sent. */
interface Unsent {
  readonly operation: Operation<unknown, unknown>
  readonly request: unknown
  readonly payload: Payload | undefined
}

const nothing = Buffer.alloc(0)

/** In the place of a call that was given up: its id is used again only when its answer has come. */
const givenUp = Symbol('a call that was given up')

/** Of a request whose answer is of no interest. */
const NO_ID = 0

/** A deadline may be noticed this much late, so that one timer of a connection serves for many calls. */
const DEADLINE_SLACK_MS = 20

/**
 * The calling side of one connection: any number of requests under way, answered in any order. It begins with a
 * hello and sends requests right behind it; if the hello is refused, they all fail with its error. While the server takes
 * no more, calls wait here, in their order, and what they would send takes no memory of the connection's.
 *
 * A call rejects with the server's error; with `CONNECTION_LOST` if the connection broke before the answer came,
 * `DEADLINE_EXCEEDED`, or `ABORTED`: after these three nobody knows whether the server carried it out.
 */
export class Caller {
  /** The id of the process that answered the hello; rejects with what ends the connection before that. */
  readonly server: Promise<string>
  /** The same, once it is known. */
  serverId: string | null = null
  readonly #link: Link
  readonly #clock: Clock
  readonly #outbox: Outbox
  readonly #frames = new FrameReader({
    onFrame: (frame) => this.#receive(frame),
    land: (frame) => this.#land(frame),
  })
  readonly #reader = new Reader()
  /** By id less one; undefined where no call has the id. */
  readonly #pending: (Pending | typeof givenUp | undefined)[] = []
  readonly #freeIds: number[] = []
  /** By their ids, in the order in which they were made. */
  readonly #unsent = new Map<number, Unsent>()
  /** Calls that somebody waits for. */
  #waiting = 0
  #deadlineTimer: Timer | null = null
  /** When the deadlines are looked at next. */
  #checkMs = Number.POSITIVE_INFINITY
  readonly #hearing: Hearing
  #closedBy: Error | null = null

  constructor(link: Link, options: CallerOptions) {
    this.#link = link
    this.#clock = options.clock
    this.#outbox = new Outbox(link)
    this.#hearing = new Hearing({
      clock: options.clock,
      sent: () => this.#outbox.sent,
      isAwaited: () => this.#waiting > 0,
      ask: () => this.ask(),
      onSilent: () => options.onSilent?.(),
    })
    link.open({
      space: () => this.#frames.space(),
      filled: (bytes) => this.#filled(bytes),
      drained: () => this.#sendUnsent(),
      silent: () => this.#letGoOfStalled(),
      closed: (cause) => this.#end(new MayflyError('CONNECTION_LOST', 'The connection broke', { cause })),
    })
    this.server = this.#greet(options)
    this.server.catch((error: unknown) => this.close(asMayflyError(error)))
  }

  get closed(): boolean {
    return this.#closedBy !== null
  }

  /** Something was sent some time ago, and not a byte has come since. */
  get isSilent(): boolean {
    return this.#hearing.isSilent
  }

  /** Asks the server whether it is there; nobody waits for the answer itself. */
  ask(): void {
    if (this.#closedBy !== null) return
    this.#outbox.send({ id: NO_ID, kind: ping.number, codec: ping.request, head: {} })
    this.#hearing.sent(this.#outbox.sent)
  }

  call<Request, Reply>(
    operation: Operation<Request, Reply>,
    request: Request,
    options: CallOptions,
  ): Promise<Answer<Reply>> {
    return new Promise((resolve, reject) => {
      this.start({ operation, request, waiting: { answered, failed: reject } }, options)
      function answered(head: Reply, payload: Buffer): void {
        resolve({ head, payload })
      }
    })
  }

  /** As `call`, without a promise: for who makes many calls. */
  start<Request, Reply>(
    what: { operation: Operation<Request, Reply>; request: Request; waiting: Waiting<Reply> },
    { payload, deadlineMs, signal, land }: CallOptions,
  ): void {
    const { operation, request } = what
    const waiting = what.waiting as Waiting<unknown>
    if (this.#closedBy !== null) return waiting.failed(this.#closedBy)
    if (signal?.aborted) return waiting.failed(abortedBy(signal))
    const id = this.#freeIds.pop() ?? this.#pending.length + 1
    if (id > CALLS_OUTSTANDING_MAX) {
      return waiting.failed(
        new MayflyError('TOO_MANY_REQUESTS', `${CALLS_OUTSTANDING_MAX} calls wait on one connection`),
      )
    }
    if (this.#unsent.size > 0 || this.#outbox.queuedBytes > CALLS_QUEUED_BYTES_MAX) {
      this.#unsent.set(id, { operation: operation as Operation<unknown, unknown>, request, payload })
    } else {
      try {
        this.#outbox.send({ id, kind: operation.number, codec: operation.request, head: request, payload })
      } catch (error) {
        this.#freeIds.push(id)
        return waiting.failed(asMayflyError(error))
      }
    }
    const pending = {
      operation: operation as Operation<unknown, unknown>,
      waiting,
      deadlineMs,
      land,
      frame: this.#outbox.sent,
    }
    this.#add(id, signal === undefined ? pending : this.#abortable(id, pending, signal))
  }

  /** Fails what is outstanding with `error` and closes the connection. */
  close(error: Error = new MayflyError('CLOSED', 'The connection was closed')): void {
    this.#end(error)
    this.#link.destroy()
  }

  async #greet({ token, session, deadlineMs }: CallerOptions): Promise<string> {
    const greeting = this.call(hello, { protocol: PROTOCOL_VERSION, token, session }, { deadlineMs })
    const { head } = await greeting.catch((error: unknown) => {
      if (!isError(error, 'DEADLINE_EXCEEDED')) throw error
      // Its time is not that of the calls behind it: they may go on over another connection.
      throw new MayflyError('CONNECTION_LOST', 'The server did not answer the hello in time', {
        cause: error,
      })
    })
    this.serverId = head.server
    return head.server
  }

  #sendUnsent(): void {
    for (const [id, { operation, request, payload }] of this.#unsent) {
      if (this.#outbox.queuedBytes > CALLS_QUEUED_BYTES_MAX) return
      this.#unsent.delete(id)
      try {
        this.#outbox.send({ id, kind: operation.number, codec: operation.request, head: request, payload })
        const pending = this.#pending[id - 1] as Pending
        pending.frame = this.#outbox.sent
      } catch (error) {
        this.#failUnsent(id, asMayflyError(error))
      }
    }
  }

  /** No answer can come, so the id is free at once. */
  #failUnsent(id: number, error: Error): void {
    const { waiting } = this.#pending[id - 1] as Pending
    this.#pending[id - 1] = undefined
    this.#freeIds.push(id)
    this.#leave()
    waiting.failed(error)
  }

  /** A server that takes nothing, or stops within an answer, may do better over another connection. */
  #letGoOfStalled(): void {
    if (this.#link.queuedBytes === 0 && this.#frames.atBoundary) return
    this.close(new MayflyError('CONNECTION_LOST', 'The server stood still'))
  }

  /** The call as it is, given up when `signal` says so. */
  #abortable(id: number, pending: Pending, signal: AbortSignal): Pending {
    const { waiting } = pending
    const onAbort = (): void => this.#giveUp(id, abortedBy(signal))
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

  #add(id: number, pending: Pending): void {
    this.#pending[id - 1] = pending
    this.#hearing.sent(pending.frame)
    if (this.#waiting++ === 0) this.#link.keepAlive(true)
    if (pending.deadlineMs + DEADLINE_SLACK_MS < this.#checkMs) this.#watchDeadline(pending.deadlineMs)
  }

  /** Nobody waits for one call any more. With none left, nothing of this connection keeps the process alive. */
  #leave(): void {
    if (--this.#waiting === 0) this.#link.keepAlive(false)
  }

  #giveUp(id: number, error: MayflyError): void {
    const pending = this.#pending[id - 1]
    if (pending === undefined || pending === givenUp) return
    if (this.#unsent.delete(id)) return this.#failUnsent(id, error)
    this.#pending[id - 1] = givenUp
    this.#leave()
    this.#outbox.send({ id: NO_ID, kind: cancel.number, codec: cancel.request, head: { id } })
    pending.waiting.failed(error)
  }

  /** Looks at the deadlines when the first of them is over. The timer goes on when its call is done: the next has one as well. */
  #watchDeadline(deadlineMs: number): void {
    this.#deadlineTimer?.cancel()
    this.#checkMs = deadlineMs + DEADLINE_SLACK_MS
    const waitMs = Math.max(0, this.#checkMs - this.#clock.monotonicMs())
    this.#deadlineTimer = this.#clock.after(waitMs, () => this.#checkDeadlines())
    this.#deadlineTimer.unref()
  }

  #checkDeadlines(): void {
    const now = this.#clock.monotonicMs()
    this.#checkMs = Number.POSITIVE_INFINITY
    let first = Number.POSITIVE_INFINITY
    for (let id = 1; id <= this.#pending.length; id++) {
      const pending = this.#pending[id - 1]
      if (pending === undefined || pending === givenUp) continue
      if (pending.deadlineMs > now) first = Math.min(first, pending.deadlineMs)
      else this.#giveUp(id, new MayflyError('DEADLINE_EXCEEDED', 'No answer came in time'))
    }
    if (first + DEADLINE_SLACK_MS < this.#checkMs) this.#watchDeadline(first)
  }

  #filled(bytes: number): void {
    this.#hearing.heard()
    try {
      this.#frames.filled(bytes)
    } catch (error) {
      this.close(asMayflyError(error))
    }
  }

  #land(frame: Frame): Landing | null {
    const pending = this.#pending[frame.id - 1]
    if (pending === undefined || pending === givenUp || frame.kind !== 0) return null
    return pending.land?.(frame.payloadBytes) ?? null
  }

  /** An answer to a call that was given up is dropped, and so is one that nobody asked for. */
  #receive(frame: Frame): void {
    if (frame.id === NO_ID) return this.#receiveNoAnswer(frame)
    const index = frame.id - 1
    const pending = this.#pending[index]
    if (pending === undefined || (this.#unsent.size > 0 && this.#unsent.has(frame.id))) return
    this.#pending[index] = undefined
    this.#freeIds.push(frame.id)
    if (pending === givenUp) return
    this.#hearing.confirm(pending.frame)
    this.#leave()
    let head: unknown
    try {
      head = this.#readHead(frame, pending.operation)
    } catch (error) {
      pending.waiting.failed(asMayflyError(error))
      if (isError(error, 'PROTOCOL_VIOLATION')) throw error
      return
    }
    pending.waiting.answered(head, frame.owned ? frame.payloadMemory : copyPayload(frame))
  }

  /** The server says how much has come, or asks whether this client is there. */
  #receiveNoAnswer(frame: Frame): void {
    if (frame.kind === receipt.number) this.#hearing.confirm(this.#readRequest(frame, receipt).frames)
    if (frame.kind === ping.number) this.#outbox.send({ id: NO_ID, kind: 0, codec: ping.reply, head: {} })
  }

  #readRequest<Request>(frame: Frame, operation: Operation<Request, unknown>): Request {
    const reader = this.#reader.reset(frame.headMemory, frame.headStart, frame.headBytes)
    const request = operation.request.read(reader)
    reader.finish()
    return request
  }

  /** Throws the error that the frame carries, or `PROTOCOL_VIOLATION` if the frame is none of the operation. */
  #readHead(frame: Frame, operation: Operation<unknown, unknown>): unknown {
    const reader = this.#reader.reset(frame.headMemory, frame.headStart, frame.headBytes)
    if (frame.kind !== 0) throw answeredError(frame.kind, errorReply.read(reader).reason)
    const head = operation.reply.read(reader)
    reader.finish()
    return head
  }

  #end(error: Error): void {
    if (this.#closedBy !== null) return
    this.#closedBy = error
    this.#frames.close()
    this.#deadlineTimer?.cancel()
    this.#hearing.stop()
    this.#unsent.clear()
    const pending = this.#pending.splice(0)
    this.#waiting = 0
    this.#link.keepAlive(false)
    for (const call of pending) if (call !== undefined && call !== givenUp) call.waiting.failed(error)
  }
}

function copyPayload({ payloadMemory, payloadStart, payloadBytes }: Frame): Buffer {
  if (payloadBytes === 0) return nothing
  const copy = Buffer.allocUnsafe(payloadBytes)
  payloadMemory.copy(copy, 0, payloadStart, payloadStart + payloadBytes)
  return copy
}

function abortedBy(signal: AbortSignal): MayflyError {
  return new MayflyError('ABORTED', 'The call was aborted', { cause: signal.reason })
}
