import { hello } from './control-operations.ts'
import { errorReply } from './error-reply.ts'
import { asMayflyError, errorCodeOf, isError, MayflyError } from './errors.ts'
import type { Frame } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { CALLS_OUTSTANDING_MAX, PROTOCOL_VERSION } from './limits.ts'
import type { Link } from './link.ts'
import type { Operation } from './operation.ts'
import { Outbox } from './outbox.ts'
import { Reader } from './reader.ts'
import type { Clock, Timer } from './runtime.ts'

export interface CallOptions {
  readonly payload?: Uint8Array | undefined
  /** On the clock's monotonic scale. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

interface CallerOptions {
  readonly clock: Clock
  readonly token: Uint8Array
  /** Names the client over all its connections; empty for one that repeats nothing. */
  readonly session: Uint8Array
  /** For the hello's answer. */
  readonly deadlineMs: number
}

export interface Answer<Reply> {
  readonly head: Reply
  /** The caller's own: nobody else has this memory. */
  readonly payload: Buffer
}

interface Pending {
  readonly operation: Operation<unknown, unknown>
  readonly deadlineMs: number
  resolve(answer: Answer<unknown>): void
  reject(error: Error): void
}

/** A deadline may be noticed this much late, so that one timer of a connection serves for many calls. */
const DEADLINE_SLACK_MS = 20

/**
 * The calling side of one connection: any number of requests under way, answered in any order. It begins with a
 * hello and sends requests right behind it; if the hello is refused, they all fail with its error.
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
  readonly #reader = new FrameReader((frame) => this.#receive(frame))
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #deadlineTimer: Timer | null = null
  /** When the deadlines are looked at next. */
  #checkMs = Number.POSITIVE_INFINITY
  #closedBy: Error | null = null

  constructor(link: Link, options: CallerOptions) {
    this.#link = link
    this.#clock = options.clock
    this.#outbox = new Outbox(link)
    link.open({
      data: (piece) => this.#data(piece),
      drained: () => undefined,
      closed: (cause) => this.#end(new MayflyError('CONNECTION_LOST', 'The connection broke', { cause })),
    })
    this.server = this.#greet(options)
    this.server.catch((error: unknown) => this.close(asMayflyError(error)))
  }

  get closed(): boolean {
    return this.#closedBy !== null
  }

  call<Request, Reply>(
    operation: Operation<Request, Reply>,
    request: Request,
    options: CallOptions,
  ): Promise<Answer<Reply>> {
    return new Promise((resolve, reject) => {
      this.#start(operation, request, {
        options,
        settle: { resolve: resolve as (answer: Answer<unknown>) => void, reject },
      })
    })
  }

  /** Fails what is outstanding with `error` and closes the connection. */
  close(error: Error = new MayflyError('CLOSED', 'The connection was closed')): void {
    this.#end(error)
    this.#link.destroy()
  }

  async #greet({ token, session, deadlineMs }: CallerOptions): Promise<string> {
    const { head } = await this.call(hello, { protocol: PROTOCOL_VERSION, token, session }, { deadlineMs })
    this.serverId = head.server
    return head.server
  }

  #start<Request, Reply>(
    operation: Operation<Request, Reply>,
    request: Request,
    call: { options: CallOptions; settle: Pick<Pending, 'resolve' | 'reject'> },
  ): void {
    const { payload, deadlineMs, signal } = call.options
    const { resolve, reject } = call.settle
    if (this.#closedBy !== null) return reject(this.#closedBy)
    if (signal?.aborted) return reject(abortedBy(signal))
    if (this.#pending.size >= CALLS_OUTSTANDING_MAX) {
      return reject(
        new MayflyError('TOO_MANY_REQUESTS', `${CALLS_OUTSTANDING_MAX} calls wait on one connection`),
      )
    }
    const id = this.#takeId()
    this.#outbox.send({ id, kind: operation.number, codec: operation.request, head: request, payload })
    const onAbort = signal && (() => this.#take(id)?.reject(abortedBy(signal)))
    if (onAbort) signal.addEventListener('abort', onAbort, { once: true })
    const release = (): void => {
      if (onAbort) signal.removeEventListener('abort', onAbort)
    }
    this.#add(id, {
      operation: operation as Operation<unknown, unknown>,
      deadlineMs,
      resolve: (answer) => {
        release()
        resolve(answer)
      },
      reject: (error) => {
        release()
        reject(error)
      },
    })
  }

  #takeId(): number {
    const id = this.#nextId
    this.#nextId = id === 0xffff_ffff ? 1 : id + 1
    return id
  }

  #add(id: number, pending: Pending): void {
    if (this.#pending.size === 0) this.#link.keepAlive(true)
    this.#pending.set(id, pending)
    if (pending.deadlineMs + DEADLINE_SLACK_MS < this.#checkMs) this.#watchDeadline(pending.deadlineMs)
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if (this.#pending.size === 0) this.#rest()
    return pending
  }

  /** Nothing is outstanding: nothing of this connection keeps the process alive. */
  #rest(): void {
    this.#link.keepAlive(false)
    this.#deadlineTimer?.cancel()
    this.#checkMs = Number.POSITIVE_INFINITY
  }

  /** Looks at the deadlines when the first of them is over. */
  #watchDeadline(deadlineMs: number): void {
    this.#deadlineTimer?.cancel()
    this.#checkMs = deadlineMs + DEADLINE_SLACK_MS
    const waitMs = Math.max(0, this.#checkMs - this.#clock.monotonicMs())
    this.#deadlineTimer = this.#clock.after(waitMs, () => this.#checkDeadlines())
  }

  #checkDeadlines(): void {
    const now = this.#clock.monotonicMs()
    let first = Number.POSITIVE_INFINITY
    for (const [id, { deadlineMs }] of this.#pending) {
      if (deadlineMs > now) first = Math.min(first, deadlineMs)
      else this.#take(id)?.reject(new MayflyError('DEADLINE_EXCEEDED', 'No answer came in time'))
    }
    if (this.#pending.size > 0) this.#watchDeadline(first)
  }

  #data(piece: Buffer): void {
    try {
      this.#reader.push(piece)
    } catch (error) {
      this.close(asMayflyError(error))
    }
  }

  /** An answer to a call that was given up is dropped. */
  #receive(frame: Frame): void {
    const pending = this.#take(frame.id)
    if (pending === undefined) return
    try {
      pending.resolve(readAnswer(frame, pending.operation))
    } catch (error) {
      pending.reject(asMayflyError(error))
      if (isError(error, 'PROTOCOL_VIOLATION')) throw error
    }
  }

  #end(error: Error): void {
    if (this.#closedBy !== null) return
    this.#closedBy = error
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#rest()
    for (const { reject } of pending) reject(error)
  }
}

/** Throws the error that the frame carries, or `PROTOCOL_VIOLATION` if the frame is none of the operation. */
function readAnswer(frame: Frame, operation: Operation<unknown, unknown>): Answer<unknown> {
  const reader = new Reader(frame.head)
  if (frame.kind !== 0) throw new MayflyError(errorCodeOf(frame.kind), errorReply.read(reader).reason)
  const head = operation.reply.read(reader)
  reader.finish()
  return { head, payload: frame.owned ? frame.payload : Buffer.from(frame.payload) }
}

function abortedBy(signal: AbortSignal): MayflyError {
  return new MayflyError('ABORTED', 'The call was aborted', { cause: signal.reason })
}
