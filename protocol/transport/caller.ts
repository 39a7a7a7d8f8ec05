import { asMayflyError, isError, MayflyError } from '../errors.ts'
import {
  CALLS_OUTSTANDING_MAX,
  CALLS_QUEUED_BYTES_MAX,
  CANCEL_ANSWER_MS,
  CANCEL_LEAD_MS,
  CONTROL_CALL_MS,
  HELLO_BYTES_MAX,
} from '../limits.ts'
import { cancel, hello, ping, receipt, renew } from '../operations/control-operations.ts'
import type { Operation } from '../operations/operation.ts'
import type { Clock, Timer } from '../runtime.ts'
import type { Frame, Landing } from '../wire/frame.ts'
import { FrameReader } from '../wire/frame-reader.ts'
import { Reader } from '../wire/reader.ts'
import {
  type Answer,
  abortable,
  abortedBy,
  abortedTooLate,
  type CallerOptions,
  type CallOptions,
  cancelOf,
  failureOf,
  type Greeted,
  givenUp,
  headOf,
  NO_ID,
  neverSent,
  type Pending,
  readHead,
  requestFrame,
  type Started,
  tooLate,
  type Unsent,
  type Waiting,
} from './call.ts'
import { DeadlineWatch } from './deadline-watch.ts'
import { Greeting } from './greeting.ts'
import { Hearing } from './hearing.ts'
import type { Link } from './link.ts'
import { Outbox } from './outbox.ts'
import type { SessionTrail } from './session-trail.ts'

/** The hello follows a ping, by which a port with TLS knows a client without it at once. */
const HELLO_FRAME = 2

/**
 * The calling side of one connection: any number of requests under way, answered in any order. It answers the server's challenge
 * with a hello and sends requests right after it; if the hello is refused, all of them fail with its error. Answers count only once
 * the server has proved its identity. While the server does not read, calls wait here in order, not yet encoded.
 *
 * A call rejects with the server's error, or with `CONNECTION_LOST` or `DEADLINE_EXCEEDED`, after which it is unknown whether the
 * server carried it out, unless `wasInVain`. A mutation (`mutates`) is `ABORTED` only if it was not carried out, and otherwise
 * `OUTCOME_UNKNOWN`.
 */
export class Caller {
  /** The id of the process that answered the hello; rejects if the connection ends before. */
  readonly server: Promise<string>
  /** The same, once known. */
  serverId: string | null = null
  /**
   * Identifies the client's session at the server, once the hello is answered; a later connection may resume
   * it.
   */
  session: string | null = null
  readonly #link: Link
  readonly #clock: Clock
  readonly #outbox: Outbox
  readonly #frames = new FrameReader({
    onFrame: (frame) => this.#receive(frame),
    land: (frame) => this.#land(frame),
    frameBytesMax: HELLO_BYTES_MAX,
  })
  readonly #greeting: Greeting
  readonly #trail: SessionTrail
  /** Null once the server has proved its identity. */
  #greeted: Greeted | null = null
  #helloTimer: Timer | null = null
  readonly #reader = new Reader()
  /** Indexed by id - 1; undefined if no call has the id. */
  readonly #pending: (Pending | typeof givenUp | undefined)[] = []
  readonly #freeIds: number[] = []
  /** By id, in order. */
  readonly #unsent = new Map<number, Unsent>()
  /** Number of calls with a waiter. */
  #waiting = 0
  readonly #deadlines: DeadlineWatch
  readonly #hearing: Hearing
  #closedBy: Error | null = null

  constructor(link: Link, options: CallerOptions) {
    this.#link = link
    this.#clock = options.runtime.clock
    this.#trail = options.trail
    this.#greeting = new Greeting({ ...options, random: options.runtime.random })
    this.#outbox = new Outbox(link)
    this.#deadlines = new DeadlineWatch(this.#clock, (nowMs) => this.#endUntil(nowMs))
    this.#hearing = new Hearing({
      clock: options.runtime.clock,
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
    this.server = this.#greet(options.deadlineMs)
    this.server.catch(() => undefined)
  }

  get closed(): boolean {
    return this.#closedBy !== null
  }

  /** Something was sent some time ago, and no byte has arrived since. */
  get isSilent(): boolean {
    return this.#hearing.isSilent
  }

  /** Pings the server; the answer itself is ignored. */
  ask(): void {
    // Nothing but the first ping may be sent before the challenge, whose absence is detected as well.
    if (this.#closedBy !== null || !this.#greeting.answered) return
    this.#outbox.send({ id: NO_ID, kind: ping.number, codec: ping.request, head: {} })
    this.#hearing.sent(this.#outbox.sent)
  }

  call<Request, Reply>(
    operation: Operation<Request, Reply>,
    request: Request,
    options: CallOptions & Pick<Started<Request, Reply>, 'mutates'>,
  ): Promise<Answer<Reply>> {
    const { mutates = false } = options
    return new Promise((resolve, reject) => {
      const answered = (head: Reply, payload: Buffer): void => resolve({ head, payload })
      this.start({ operation, request, waiting: { answered, failed: reject }, mutates }, options)
    })
  }

  /** As `call`, without a promise: for callers with many calls. */
  start<Request, Reply>(what: Started<Request, Reply>, options: CallOptions): void {
    const { operation, request, mutates = false } = what
    const { payload, context, deadlineMs, signal, land } = options
    const waiting = what.waiting as Waiting<unknown>
    const refusal = this.#refusal(signal)
    if (refusal !== null) return this.#withhold({ waiting, mutates }, refusal)
    const id = this.#freeIds.pop() ?? this.#pending.length + 1
    if (this.#unsent.size > 0 || !this.#maySend) {
      this.#unsent.set(id, { operation: operation as Operation<unknown, unknown>, request, payload, context })
    } else {
      try {
        this.#outbox.send(requestFrame(id, what, options))
      } catch (error) {
        this.#freeIds.push(id)
        return this.#withhold({ waiting, mutates }, asMayflyError(error))
      }
    }
    const { sent: frame } = this.#outbox
    const pending = {
      operation: operation as Operation<unknown, unknown>,
      waiting,
      deadlineMs,
      land,
      mutates,
      frame,
    }
    this.#add(id, signal === undefined ? pending : abortable(pending, signal, () => this.#abort(id, signal)))
  }

  get #maySend(): boolean {
    return this.#greeting.answered && this.#outbox.queuedBytes <= CALLS_QUEUED_BYTES_MAX
  }

  /** Why a call cannot start; null if it can. */
  #refusal(signal: AbortSignal | undefined): Error | null {
    if (this.#closedBy !== null) return this.#closedBy
    if (signal?.aborted) return abortedBy(signal)
    if (this.#freeIds.length > 0 || this.#pending.length < CALLS_OUTSTANDING_MAX) return null
    return new MayflyError('TOO_MANY_REQUESTS', `${CALLS_OUTSTANDING_MAX} calls wait on one connection`)
  }

  /** Fails all outstanding calls with `error` and closes the connection. */
  close(error: Error = new MayflyError('CLOSED', 'The connection was closed')): void {
    this.#end(error)
    this.#link.destroy()
  }

  /** Continues the connection with another token of the same job. Rejects as a call does. */
  async renew(token: Uint8Array): Promise<void> {
    await this.server
    const deadlineMs = this.#clock.monotonicMs() + CONTROL_CALL_MS
    await this.call(renew, this.#greeting.renewal(token), { deadlineMs })
  }

  #greet(deadlineMs: number): Promise<string> {
    this.#waiting++
    this.#link.keepAlive(true)
    this.#outbox.send({ id: NO_ID, kind: ping.number, codec: ping.request, head: {} })
    this.#hearing.sent(HELLO_FRAME)
    this.#helloTimer = this.#clock.after(Math.max(0, deadlineMs - this.#clock.monotonicMs()), () =>
      this.close(new MayflyError('CONNECTION_LOST', 'The server did not answer the hello in time')),
    )
    return new Promise((resolve, reject) => {
      this.#greeted = { resolve, reject }
    })
  }

  /** Handles frames before the server has proved its identity. Throws what ends the connection. */
  #greetBack(frame: Frame, { resolve }: Greeted): void {
    if (!this.#greeting.answered) {
      const head = this.#greeting.answer(frame)
      this.#outbox.send({ id: NO_ID, kind: hello.number, codec: hello.request, head })
      this.#sendUnsent()
      return
    }
    const { server, session } = this.#greeting.welcome(frame)
    this.#greeted = null
    this.#hearing.confirm(HELLO_FRAME)
    this.#helloTimer?.cancel()
    this.#frames.allowAll()
    this.serverId = server
    this.session = session
    this.#leave()
    resolve(server)
  }

  /** After a suspension of this process too, nothing is sent whose deadline has passed. */
  #sendUnsent(): void {
    if (this.#unsent.size === 0) return
    const nowMs = this.#clock.monotonicMs()
    for (const [id, unsent] of this.#unsent) {
      if (!this.#maySend) return
      this.#unsent.delete(id)
      const pending = this.#pending[id - 1] as Pending
      if (pending.deadlineMs <= nowMs) {
        this.#failUnsent(id, neverSent())
        continue
      }
      try {
        this.#outbox.send(requestFrame(id, unsent, unsent))
        pending.frame = this.#outbox.sent
      } catch (error) {
        this.#failUnsent(id, asMayflyError(error))
      }
    }
  }

  /** A mutation is about to be sent for the first time, by a call that `mutates`. */
  beginMutation(): void {
    this.#trail.sends(this.session)
  }

  /** No answer can arrive, so the id is free at once. */
  #failUnsent(id: number, error: Error): void {
    const call = this.#pending[id - 1] as Pending
    this.#pending[id - 1] = undefined
    this.#freeIds.push(id)
    this.#leave()
    this.#withhold(call, error)
  }

  /** The call was not sent. */
  #withhold({ waiting, mutates }: Pick<Pending, 'waiting' | 'mutates'>, error: Error): void {
    if (mutates) this.#trail.withholds(this.session)
    waiting.failed(error)
  }

  /** Disconnects from a server that takes no bytes or stops within an answer: another connection may work. */
  #letGoOfStalled(): void {
    if (this.#link.queuedBytes === 0 && this.#frames.atBoundary) return
    this.close(new MayflyError('CONNECTION_LOST', 'The server stood still'))
  }

  /** A sent mutation is `ABORTED` once the server confirms that; without an answer its outcome is unknown. */
  #abort(id: number, signal: AbortSignal): void {
    const pending = this.#pending[id - 1]
    if (pending === undefined || pending === givenUp) return
    if (!pending.mutates || this.#unsent.has(id)) return this.#giveUp(id, abortedBy(signal))
    const leaveOpen = (): void => {
      if (this.#pending[id - 1] === pending) this.#giveUp(id, abortedTooLate(signal))
    }
    const deadlineMs = this.#clock.monotonicMs() + CANCEL_ANSWER_MS
    this.call(cancel, { id }, { deadlineMs }).then(
      // If it is not in progress, its answer has arrived or is next.
      ({ head }) => (head.underWay ? leaveOpen() : undefined),
      leaveOpen,
    )
  }

  #add(id: number, pending: Pending): void {
    this.#pending[id - 1] = pending
    this.#hearing.sent(pending.frame)
    if (this.#waiting++ === 0) this.#link.keepAlive(true)
    this.#deadlines.add(pending.mutates ? pending.deadlineMs - CANCEL_LEAD_MS : pending.deadlineMs)
  }

  /** A call no longer waits. Without waiting calls the connection does not keep the process alive. */
  #leave(): void {
    if (--this.#waiting === 0) this.#link.keepAlive(false)
  }

  #giveUp(id: number, error: MayflyError): void {
    const pending = this.#pending[id - 1]
    if (pending === undefined || pending === givenUp) return
    if (this.#unsent.delete(id)) return this.#failUnsent(id, error)
    this.#pending[id - 1] = givenUp
    this.#leave()
    // One that is ending was cancelled before, and a cancellation lasts.
    if (pending.isEnding !== true) this.#outbox.send(cancelOf(id))
    pending.waiting.failed(error)
  }

  /** Fails calls whose deadline has passed, and returns the earliest remaining deadline. */
  #endUntil(nowMs: number): number {
    let first = Number.POSITIVE_INFINITY
    for (let id = 1; id <= this.#pending.length; id++) {
      const pending = this.#pending[id - 1]
      if (pending === undefined || pending === givenUp) continue
      if (pending.deadlineMs <= nowMs) this.#giveUp(id, this.#unsent.has(id) ? neverSent() : tooLate())
      else first = Math.min(first, this.#endInTime(id, pending, nowMs))
    }
    return first
  }

  /** Cancels a mutation shortly before its deadline. Returns when to look at it next. */
  #endInTime(id: number, pending: Pending, nowMs: number): number {
    if (!pending.mutates || pending.isEnding || this.#unsent.has(id)) return pending.deadlineMs
    if (pending.deadlineMs - CANCEL_LEAD_MS > nowMs) return pending.deadlineMs - CANCEL_LEAD_MS
    pending.isEnding = true
    this.#outbox.send(cancelOf(id))
    return pending.deadlineMs
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
    if (pending === undefined || pending === givenUp || frame.kind !== 0 || this.#greeted !== null)
      return null
    return pending.land?.(frame.payloadBytes) ?? null
  }

  /** Answers without a waiting call are dropped. */
  #receive(frame: Frame): void {
    if (this.#greeted !== null) return this.#greetBack(frame, this.#greeted)
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
      head = headOf(frame, pending.operation, this.#reader)
    } catch (error) {
      pending.waiting.failed(failureOf(pending, error))
      if (isError(error, 'PROTOCOL_VIOLATION')) throw error
      return
    }
    pending.waiting.answered(head, frame.owned ? frame.payloadMemory : frame.copyPayload())
  }

  /** The server acknowledges frames, or pings this client. */
  #receiveNoAnswer(frame: Frame): void {
    if (frame.kind === receipt.number)
      this.#hearing.confirm(readHead(frame, receipt.request, this.#reader).frames)
    if (frame.kind === ping.number) this.#outbox.send({ id: NO_ID, kind: 0, codec: ping.reply, head: {} })
  }

  #end(error: Error): void {
    if (this.#closedBy !== null) return
    this.#closedBy = error
    this.#frames.close()
    this.#deadlines.stop()
    this.#hearing.stop()
    this.#helloTimer?.cancel()
    this.#greeted?.reject(error)
    this.#unsent.clear()
    const pending = this.#pending.splice(0)
    this.#waiting = 0
    this.#link.keepAlive(false)
    for (const call of pending) if (call !== undefined && call !== givenUp) call.waiting.failed(error)
  }
}
