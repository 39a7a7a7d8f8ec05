import { asMayflyError, errorTable, isError, isOwnFault, MayflyError } from '../../protocol/errors.ts'
import {
  ERROR_MESSAGE_BYTES_MAX,
  HELLO_BYTES_MAX,
  HELLO_MS_MAX,
  IDLE_LOOKS_MAX,
  PROTOCOL_VERSION,
  REPLIES_FIRST_PORTION,
  TURN_LOOK_REQUESTS,
} from '../../protocol/limits.ts'
import type { Claims } from '../../protocol/model/token.ts'
import { cancel, challenge, hello, ping, renew } from '../../protocol/operations/control-operations.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import type { Runtime } from '../../protocol/runtime.ts'
import type { Link } from '../../protocol/transport/link.ts'
import { Outbox } from '../../protocol/transport/outbox.ts'
import type { CallContext } from '../../protocol/wire/call-context.ts'
import type { Codec } from '../../protocol/wire/codec.ts'
import { errorReply } from '../../protocol/wire/error-reply.ts'
import type { Frame, Landing } from '../../protocol/wire/frame.ts'
import { FrameReader } from '../../protocol/wire/frame-reader.ts'
import { Reader, violation } from '../../protocol/wire/reader.ts'
import { CallCounts, type Counts } from '../metrics/call-counts.ts'
import { endProcess, mustEndProcess } from '../process/background.ts'
import { checkVersion } from '../process/credentials.ts'
import { reportFault } from '../process/fault-report.ts'
import type { Logger } from '../process/log.ts'
import type { Connections, Counted } from './connections.ts'
import { FrameProgress } from './frame-progress.ts'
import { Gate } from './gate.ts'
import type { Handlers, Reply } from './handlers.ts'
import { Intake, type Pace } from './intake.ts'
import type { ClientSessions, Peer } from './peer.ts'
import { PeerWatch } from './peer-watch.ts'
import { RequestsUnderWay, repeatedId } from './requests-under-way.ts'
import type { Turns } from './turns.ts'

export interface ResponderOptions {
  /** The id in the answer to the hello. */
  readonly server: string
  readonly secret: Buffer
  readonly runtime: Runtime
  readonly handlers: Handlers
  readonly log: Logger
  /** Shared by all connections of the server. */
  readonly turns: Turns
  readonly pace?: Pace
  /** All connections of the server. */
  readonly connections: Connections
  /** For servers that store answers of mutations. */
  readonly sessions?: ClientSessions
  /** Of all connections of the server. */
  readonly calls?: CallCounts
  /** Runs the handler of a request that has a context. */
  readonly runIn?: RunIn
}

/** Runs the handler of operation number `kind` on behalf of `context`. */
export type RunIn = (context: CallContext, kind: number, handle: () => HandlerReply) => HandlerReply

type HandlerReply = Reply<unknown> | Promise<Reply<unknown>>

/** Serves one connection: hello first, then any number of requests, each answered when it is done. */
export function serveLink(link: Link, options: ResponderOptions): void {
  new Responder(link, options).open()
}

class Responder implements Counted {
  readonly #link: Link
  readonly #options: ResponderOptions
  readonly #outbox: Outbox
  readonly #calls: CallCounts
  readonly #watch: PeerWatch
  readonly #frames = new FrameReader({
    onFrame: (frame) => this.#receive(frame),
    land: (frame) => this.#land(frame),
    admit: (bytes) => this.#intake.admits(bytes),
    frameBytesMax: HELLO_BYTES_MAX,
  })
  readonly #reader = new Reader()
  readonly #gate: Gate
  #peer: (Peer & { claims: Claims; sessionName: string }) | null = null
  readonly #underWay = new RequestsUnderWay()
  readonly #intake: Intake
  /** Requests since the clock was last read. */
  #unlooked = 0
  #closed = false
  /** Idle checks since the last request. */
  #idleLooks = 0
  readonly #progress: FrameProgress

  constructor(link: Link, options: ResponderOptions) {
    this.#link = link
    this.#options = options
    this.#calls = options.calls ?? new CallCounts(options.runtime.clock)
    this.#progress = new FrameProgress(options.runtime.clock)
    this.#gate = new Gate({ ...options, onExpired: (error) => this.#refuse(0, error) })
    this.#outbox = new Outbox(link, REPLIES_FIRST_PORTION)
    this.#watch = new PeerWatch({
      outbox: this.#outbox,
      clock: options.runtime.clock,
      owesAnswer: () => this.#owesAnswer() && link.queuedBytes === 0,
      isHeldBack: () => this.#intake.isPaused,
    })
    const { turns, pace, runtime } = options
    this.#intake = new Intake({
      ...{ link, turns, pace, clock: runtime.clock },
      ...{ frames: this.#frames, outbox: this.#outbox, underWay: this.#underWay },
      onResume: (pausedMs) => this.#resume(pausedMs),
    })
  }

  open(): void {
    const { clock } = this.#options.runtime
    const { connections } = this.#options
    connections.accept(this)
    const greeting = clock.after(HELLO_MS_MAX, () => {
      if (this.#peer === null) this.#link.destroy()
    })
    this.#link.open({
      space: () => this.#frames.space(this.#intake.readBytes),
      filled: (bytes) => this.#filled(bytes),
      drained: () => this.#intake.balance(),
      silent: () => this.#letGoOfSilent(),
      closed: () => {
        this.#close()
        greeting.cancel()
        connections.leave(this, this.#job)
        this.#leaveAll()
      },
    })
    const head = { protocol: PROTOCOL_VERSION, nonce: this.#gate.nonce }
    this.#outbox.send({ id: 0, kind: challenge.number, codec: challenge.request, head })
    this.#outbox.flush()
  }

  get isIdle(): boolean {
    const isQuiet = this.#underWay.size === 0 && !this.#intake.isPaused && this.#frames.atBoundary
    return isQuiet && this.#link.queuedBytes === 0
  }

  get idleLooks(): number {
    return this.#idleLooks
  }

  end(): void {
    this.#close()
    this.#leaveAll()
    this.#link.destroy()
  }

  /** A peer that violates the protocol is told why, if possible, and disconnected; other peers are not affected. */
  #filled(bytes: number): void {
    if (this.#closed) return
    this.#watch.received()
    const { turns } = this.#options
    if (!turns.begin(this.#job)) this.#intake.awaitTurn()
    this.#outbox.hold()
    try {
      this.#frames.filled(bytes)
    } catch (error) {
      this.#refuse(0, error)
    }
    this.#finishRead()
    if (this.#frames.atBoundary || this.#intake.isPaused) return
    if (!this.#progress.isFastEnough({ frames: this.#watch.frames, bytes })) this.#link.destroy()
  }

  #finishRead(): void {
    this.#outbox.flush()
    const turnMs = this.#options.turns.end()
    this.#calls.endTurn(turnMs)
    this.#intake.keepPace(turnMs)
    this.#intake.balance()
  }

  /** Empty for planes, and before the hello, when very little may be sent. */
  get #job(): string {
    return this.#peer?.claims.job ?? ''
  }

  #land(frame: Frame): Landing | null {
    if (this.#peer === null) return null
    return this.#options.handlers.get(frame.kind).land?.(this.#peer, frame.payloadBytes) ?? null
  }

  #receive(frame: Frame): void {
    this.#watch.frames++
    this.#idleLooks = 0
    if (this.#peer === null) return this.#greet(frame)
    if (frame.kind === cancel.number) return this.#cancel(frame)
    if (frame.kind === ping.number) return this.#answerPing(frame)
    if (frame.kind === 0) return this.#watch.hear()
    if (this.#underWay.size > 0 && this.#underWay.has(frame.id)) throw repeatedId(frame)
    if (frame.kind === renew.number) return this.#renew(frame, this.#peer)
    const { operation, handle, isShort } = this.#options.handlers.get(frame.kind)
    const { id } = frame
    const counts = this.#calls.received(frame.kind, frame.payloadBytes)
    const request = this.#decode(operation, frame)
    const context = frame.contextBytes === 0 ? null : this.#contextOf(frame)
    const { runIn } = this.#options
    const peer = this.#peer
    try {
      const reply =
        context === null || runIn === undefined
          ? handle(peer, request, frame)
          : runIn(context, frame.kind, () => handle(peer, request, frame))
      if (reply instanceof Promise) this.#later(id, { codec: operation.reply, counts }, reply)
      else this.#answer(id, operation.reply, reply)
    } catch (error) {
      if (isError(error, 'PROTOCOL_VIOLATION')) return this.#refuse(id, error)
      this.#fail(id, error, counts)
    }
    this.#unlooked += isShort ? 1 : TURN_LOOK_REQUESTS
    if (this.#unlooked >= TURN_LOOK_REQUESTS) this.#look()
    if (this.#intake.isFull) this.#relieve()
  }

  /** Ends a turn that has taken long enough. */
  #look(): void {
    this.#unlooked = 0
    if (this.#options.turns.isOver) this.#intake.awaitTurn()
  }

  /** Pauses delivery if the network does not take the answers to earlier requests. */
  #relieve(): void {
    this.#outbox.flush()
    this.#intake.balance()
  }

  /** A request that cannot be decoded never reaches its handler, so its landing is abandoned here. */
  #decode<Request>(operation: Operation<Request, unknown>, frame: Frame): Request {
    try {
      const reader = this.#reader.reset(frame.headMemory, frame.fieldsStart, frame.fieldsBytes)
      const request = operation.request.read(reader)
      reader.finish()
      return request
    } catch (error) {
      frame.landing?.abandon()
      throw error
    }
  }

  #contextOf(frame: Frame): CallContext | null {
    try {
      return frame.context
    } catch (error) {
      frame.landing?.abandon()
      throw error
    }
  }

  #greet(frame: Frame): void {
    if (frame.kind === ping.number && this.#watch.frames === 1) return // Meant for ports with TLS.
    if (frame.kind !== hello.number) throw violation('the first message is not a hello')
    const { server, sessions, connections } = this.#options
    try {
      checkVersion(this.#reader.reset(frame.headMemory, frame.fieldsStart, frame.fieldsBytes).u16())
      const request = this.#decode(hello, frame)
      const peer = this.#peerWith(this.#gate.admit(request))
      this.#intake.enter(peer.claims.job, connections.enter(this, peer.claims.job))
      peer.sessionName = sessions?.join(peer, this.#gate.resumed(request)) ?? peer.sessionName
      this.#peer = peer
      this.#frames.allowAll()
      this.#answer(frame.id, hello.reply, { head: this.#gate.welcome(server, peer.sessionName) })
    } catch (error) {
      this.#refuse(frame.id, error)
    }
  }

  #peerWith(claims: Claims): Peer & { claims: Claims; sessionName: string } {
    return {
      claims,
      session: null,
      sessionName: this.#gate.nonce.toString('hex'),
      whenGone: (id, task) => this.#underWay.park(id, task),
      expects: (bytes) => this.#intake.expect(bytes),
      end: () => this.end(),
    }
  }

  #renew(frame: Frame, peer: { claims: Claims }): void {
    const request = this.#decode(renew, frame)
    try {
      peer.claims = this.#gate.renew(request)
      this.#answer(frame.id, renew.reply, { head: {} })
    } catch (error) {
      this.#fail(frame.id, error)
    }
  }

  #cancel(frame: Frame): void {
    const { id } = this.#decode(cancel, frame)
    this.#answer(frame.id, cancel.reply, { head: { underWay: !this.#underWay.cancel(id) } })
  }

  #leaveAll(): void {
    this.#underWay.breakOff()
    if (this.#peer !== null) this.#options.sessions?.leave(this.#peer)
  }

  #later(
    id: number,
    { codec, counts }: { codec: Codec<unknown>; counts: Counts },
    reply: Promise<Reply<unknown>>,
  ): void {
    this.#underWay.begin(id)
    const fromMs = this.#calls.defer(counts)
    const end = (): void => {
      const hasWaited = this.#underWay.end(id)
      if (!hasWaited) this.#calls.answered(counts, fromMs)
    }
    void reply.then(
      (value) => {
        end()
        this.#options.turns.begin(this.#job)
        this.#answer(id, codec, value)
        this.#options.turns.end()
        this.#intake.balance()
      },
      (error: unknown) => {
        end()
        this.#fail(id, error, counts)
        this.#intake.balance()
      },
    )
  }

  /** A reply that cannot be encoded fails only its request. */
  #answer<Head>(id: number, codec: Codec<Head>, reply: Reply<Head>): void {
    const { head, payload, transient, sent } = reply
    if (this.#closed) return sent?.()
    try {
      this.#calls.sent(this.#outbox.send({ id, kind: 0, codec, head, payload, transient, sent }))
    } catch (cause) {
      sent?.()
      this.#fail(id, new MayflyError('INTERNAL', 'The reply could not be encoded', { cause }))
    }
  }

  #fail(id: number, thrown: unknown, counts?: Counts): void {
    const isOwn = isOwnFault(thrown)
    const error = isOwn ? reportFault(thrown, this.#options) : asMayflyError(thrown)
    if (counts !== undefined) this.#calls.failed(counts, error.code)
    if (this.#closed) return
    const reason = error.reason.slice(0, ERROR_MESSAGE_BYTES_MAX / 4)
    this.#outbox.send({ id, kind: errorTable[error.code].wire, codec: errorReply, head: { reason } })
    if (isOwn && mustEndProcess(thrown)) endProcess(thrown)
  }

  #refuse(id: number, thrown: unknown): void {
    if (!isOwnFault(thrown))
      this.#options.log.info({ reason: asMayflyError(thrown).reason }, 'connection refused')
    this.#fail(id, thrown)
    this.#outbox.flush()
    this.#close()
    // The peer may close slowly: until then parked requests must not take objects.
    this.#leaveAll()
    this.#link.end()
  }

  #close(): void {
    this.#closed = true
    this.#watch.stop()
    this.#gate.close()
    this.#frames.close()
    this.#intake.close()
  }

  #owesAnswer(): boolean {
    return (
      this.#peer !== null && (this.#underWay.size > 0 || this.#intake.isPaused || !this.#frames.atBoundary)
    )
  }

  /** Works off what had arrived when the connection was paused. */
  #resume(pausedMs: number): void {
    this.#progress.excuse(pausedMs)
    this.#options.turns.begin(this.#job)
    try {
      if (!this.#frames.resume()) return void this.#options.turns.end()
    } catch (error) {
      this.#refuse(0, error)
    }
    this.#finishRead()
  }

  #answerPing(frame: Frame): void {
    const head = this.#decode(ping, frame)
    if (frame.id === 0) this.#watch.sayWhatCame()
    else this.#answer(frame.id, ping.reply, { head })
  }

  /** Disconnects a stalled peer, which holds shared memory, and a dead one, which holds parked requests. */
  #letGoOfSilent(): void {
    const isStalled = this.#link.queuedBytes > 0 || (!this.#intake.isPaused && !this.#frames.atBoundary)
    if (isStalled || !this.#watch.isThere()) return this.#link.destroy()
    if (this.#job !== '' && this.isIdle && ++this.#idleLooks >= IDLE_LOOKS_MAX) this.end()
  }
}
