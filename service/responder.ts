import type { Codec } from '../protocol/codec.ts'
import { cancel, hello, ping } from '../protocol/control-operations.ts'
import { errorReply } from '../protocol/error-reply.ts'
import { asMayflyError, errorTable, isOwnFault, MayflyError } from '../protocol/errors.ts'
import type { Frame, Landing } from '../protocol/frame.ts'
import { FrameReader } from '../protocol/frame-reader.ts'
import {
  ANSWERS_QUEUED_BYTES_MAX,
  ANSWERS_QUEUED_BYTES_MAX_CROWDED,
  CALLS_OUTSTANDING_MAX,
  ERROR_MESSAGE_BYTES_MAX,
  HELLO_BYTES_MAX,
  HELLO_MS_MAX,
  PROTOCOL_VERSION,
  REPLIES_FIRST_PORTION,
  TURN_LOOK_REQUESTS,
} from '../protocol/limits.ts'
import type { Link } from '../protocol/link.ts'
import type { Operation } from '../protocol/operation.ts'
import { isCrowded, Outbox, type Payload } from '../protocol/outbox.ts'
import { Reader, violation } from '../protocol/reader.ts'
import type { Clock } from '../protocol/runtime.ts'
import { type Claims, verifyToken } from '../protocol/token.ts'
import { endProcess, mustEndProcess } from './background.ts'
import { reportFault } from './fault-report.ts'
import type { Logger } from './log.ts'
import type { Pace } from './pace.ts'
import { PeerWatch } from './peer-watch.ts'
import type { Turns } from './turns.ts'

export interface Reply<Head> {
  readonly head: Head
  readonly payload?: Payload
  /** The payload's memory may change once the handler has returned: all of it is copied before that. */
  readonly transient?: boolean
  /** Called once, when nobody reads the payload's memory any more: it was copied or written, or the connection is gone. */
  readonly sent?: () => void
}

/** A request's payload where it was received. All of it but the memory that is `owned` is valid until the handler returns. */
export type Received = Pick<
  Frame,
  'id' | 'payload' | 'payloadMemory' | 'payloadStart' | 'payloadBytes' | 'owned' | 'landing'
>

/** Who is at the other end of a connection. */
export interface Peer {
  readonly claims: Claims
  /** The client's session, over all its connections; empty for one that has none. */
  readonly session: string
  /**
   * Runs `task` when nobody waits any more for the answer to request `id`: it was given up, or the connection is gone. The
   * returned function takes that back.
   */
  whenGone(id: number, task: (reason: MayflyError) => void): () => void
  /**
   * Says before so many bytes of an answer come into memory: nothing more that the peer asks is worked off while it has too many of them.
   * The returned function is called when the answer is given, or there will be none; again, it does nothing.
   */
  expects(bytes: number): () => void
}

/** A request that may wait, and for whom. */
export interface Waiter {
  readonly peer: Peer
  readonly id: number
}

type Handle<Request, Head> = (
  peer: Peer,
  request: Request,
  payload: Received,
) => Reply<Head> | Promise<Reply<Head>>

/**
 * Asked for the memory of a payload that does not arrive with its header; null is a buffer of its own. The handler
 * finds it in `landing`; where it is never called for that request, the landing is abandoned.
 */
type Land = (peer: Peer, payloadBytes: number) => Landing | null

interface Entry {
  readonly operation: Operation<unknown, unknown>
  readonly handle: Handle<unknown, unknown>
  readonly land: Land | undefined
  /** One key and at most a chunk of bytes: microseconds. */
  readonly isShort: boolean
}

/** The operations that a server offers. */
export class Handlers {
  /** By number. */
  readonly #entries: (Entry | undefined)[] = []

  on<Request, Head>(
    operation: Operation<Request, Head>,
    handle: Handle<Request, Head>,
    { land, isShort = false }: { land?: Land; isShort?: boolean } = {},
  ): this {
    this.#entries[operation.number] = { operation, handle, land, isShort } as Entry
    return this
  }

  get(kind: number): Entry {
    const entry = this.#entries[kind]
    if (entry === undefined) throw violation(`operation ${kind} is not offered here`)
    return entry
  }
}

export interface ResponderOptions {
  /** The id that the hello is answered with. */
  readonly server: string
  readonly secret: Buffer
  readonly clock: Clock
  readonly handlers: Handlers
  readonly log: Logger
  /** Of all connections of the server. */
  readonly turns: Turns
  readonly pace?: Pace
}

/** Serves one connection: hello first, then any number of requests, each answered when it is done. */
export function serveLink(link: Link, options: ResponderOptions): void {
  new Responder(link, options).open()
}

class Responder {
  readonly #link: Link
  readonly #options: ResponderOptions
  readonly #outbox: Outbox
  readonly #watch: PeerWatch
  readonly #frames = new FrameReader({
    onFrame: (frame) => this.#receive(frame),
    land: (frame) => this.#land(frame),
    frameBytesMax: HELLO_BYTES_MAX,
  })
  readonly #reader = new Reader()
  #peer: Peer | null = null
  /** Requests that wait for something, with who tells them that nobody waits for their answer. */
  readonly #parked = new Map<number, (reason: MayflyError) => void>()
  #underWay = 0
  /** Of answers that are on their way into memory. */
  #expectedBytes = 0
  #paused = false
  /** The peer goes too fast. */
  #held = false
  /** The rest of what was read waits for a turn of the peer's job. */
  #waits = false
  /** Since the clock was looked at. */
  #unlooked = 0
  #closed = false

  constructor(link: Link, options: ResponderOptions) {
    this.#link = link
    this.#options = options
    this.#outbox = new Outbox(link, REPLIES_FIRST_PORTION)
    this.#watch = new PeerWatch({
      outbox: this.#outbox,
      clock: options.clock,
      owesAnswer: () => this.#owesAnswer() && link.queuedBytes === 0,
      isHeldBack: () => this.#paused,
    })
  }

  open(): void {
    const { clock } = this.#options
    const greeting = clock.after(HELLO_MS_MAX, () => {
      if (this.#peer === null) this.#link.destroy()
    })
    this.#link.open({
      space: () => this.#frames.space(),
      filled: (bytes) => this.#filled(bytes),
      drained: () => this.#balance(),
      silent: () => this.#letGoOfSilent(),
      closed: () => {
        this.#close()
        greeting.cancel()
        this.#leaveAll()
      },
    })
  }

  /** A peer that breaks the protocol is told why, as far as it can listen, and cut off; nobody else notices. */
  #filled(bytes: number): void {
    if (this.#closed) return
    this.#watch.received()
    const { turns } = this.#options
    if (!turns.begin(this.#job)) this.#await()
    try {
      this.#frames.filled(bytes)
    } catch (error) {
      this.#refuse(0, error)
    }
    this.#finishRead()
  }

  #finishRead(): void {
    this.#outbox.flush()
    this.#keepPace(this.#options.turns.end())
    this.#balance()
  }

  /** Empty for the planes, and for a peer that has not said who it is: that one may send very little. */
  get #job(): string {
    return this.#peer?.claims.job ?? ''
  }

  /** Hands over no more of what was read until the peer's job has a turn again. */
  #await(): void {
    if (this.#waits || this.#closed) return
    this.#waits = true
    this.#frames.pause()
    this.#options.turns.wait(this.#job, () => {
      this.#waits = false
      this.#balance()
    })
  }

  #keepPace(cpuMs: number): void {
    const { pace } = this.#options
    if (pace === undefined || this.#peer === null || this.#held || this.#closed) return
    this.#held = pace.holds(this.#peer.claims.job, cpuMs, () => {
      this.#held = false
      this.#balance()
    })
  }

  #land(frame: Frame): Landing | null {
    if (this.#peer === null) return null
    return this.#options.handlers.get(frame.kind).land?.(this.#peer, frame.payloadBytes) ?? null
  }

  #receive(frame: Frame): void {
    this.#watch.frames++
    if (this.#peer === null) return this.#greet(frame)
    if (frame.kind === cancel.number) return this.#cancel(frame)
    if (frame.kind === ping.number) return this.#answerPing(frame)
    if (frame.kind === 0) return this.#watch.hear()
    const { operation, handle, isShort } = this.#options.handlers.get(frame.kind)
    const { id } = frame
    const request = this.#decode(operation, frame)
    try {
      const reply = handle(this.#peer, request, frame)
      if (reply instanceof Promise) this.#later(id, operation.reply, reply)
      else this.#answer(id, operation.reply, reply)
    } catch (error) {
      this.#fail(id, error)
    }
    this.#unlooked += isShort ? 1 : TURN_LOOK_REQUESTS
    if (this.#unlooked >= TURN_LOOK_REQUESTS) this.#look()
    if (this.#outbox.queuedBytes + this.#expectedBytes > queuedBytesMax()) this.#relieve()
  }

  /** A turn that has taken long enough ends, and the next job has one. */
  #look(): void {
    this.#unlooked = 0
    if (this.#options.turns.isOver) this.#await()
  }

  /** The rest of what was read waits, if the network does not take the answers to what came before it. */
  #relieve(): void {
    this.#outbox.flush()
    this.#balance()
  }

  /** A request that breaks the protocol never reaches its handler, so nobody else gives up what its payload landed in. */
  #decode<Request>(operation: Operation<Request, unknown>, frame: Frame): Request {
    try {
      const reader = this.#reader.reset(frame.headMemory, frame.headStart, frame.headBytes)
      const request = operation.request.read(reader)
      reader.finish()
      return request
    } catch (error) {
      frame.landing?.abandon()
      throw error
    }
  }

  #greet(frame: Frame): void {
    if (frame.kind !== hello.number) throw violation('the first message is not a hello')
    const { protocol, token, session } = this.#decode(hello, frame)
    try {
      if (protocol !== PROTOCOL_VERSION) {
        throw violation(
          `the client speaks version ${protocol} of the protocol, this server ${PROTOCOL_VERSION}`,
        )
      }
      const claims = verifyToken(this.#options.secret, Buffer.from(token), this.#options.clock.wallMs())
      this.#peer = {
        claims,
        session: Buffer.from(session).toString('hex'),
        whenGone: (id, task) => this.#park(id, task),
        expects: (bytes) => this.#expect(bytes),
      }
    } catch (error) {
      return this.#refuse(frame.id, error)
    }
    this.#frames.allowAll()
    this.#answer(frame.id, hello.reply, { head: { server: this.#options.server } })
  }

  #park(id: number, task: (reason: MayflyError) => void): () => void {
    this.#parked.set(id, task)
    return () => void this.#parked.delete(id)
  }

  #expect(bytes: number): () => void {
    let isExpected = true
    this.#expectedBytes += bytes
    return () => {
      if (isExpected) this.#expectedBytes -= bytes
      isExpected = false
    }
  }

  #cancel(frame: Frame): void {
    const { id } = this.#decode(cancel, frame)
    this.#parked.get(id)?.(new MayflyError('ABORTED', 'The client gave the request up'))
    this.#answer(frame.id, cancel.reply, { head: {} })
  }

  #leaveAll(): void {
    const reason = new MayflyError('CONNECTION_LOST', 'The connection broke while the request waited')
    for (const task of [...this.#parked.values()]) task(reason)
  }

  #later(id: number, codec: Codec<unknown>, reply: Promise<Reply<unknown>>): void {
    this.#underWay++
    reply
      .then(
        (value) => this.#answer(id, codec, value),
        (error: unknown) => this.#fail(id, error),
      )
      .finally(() => {
        this.#underWay--
        this.#balance()
      })
  }

  /** A reply that cannot be encoded fails its request alone. */
  #answer<Head>(id: number, codec: Codec<Head>, reply: Reply<Head>): void {
    const { head, payload, transient, sent } = reply
    if (this.#closed) return sent?.()
    try {
      this.#outbox.send({ id, kind: 0, codec, head, payload, transient, sent })
    } catch (cause) {
      sent?.()
      this.#fail(id, new MayflyError('INTERNAL', 'The reply could not be encoded', { cause }))
    }
  }

  #fail(id: number, thrown: unknown): void {
    const isOwn = isOwnFault(thrown)
    const error = isOwn ? reportFault(thrown, this.#options) : asMayflyError(thrown)
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
    this.#link.end()
  }

  #close(): void {
    this.#closed = true
    this.#watch.stop()
    this.#frames.close()
  }

  #owesAnswer(): boolean {
    return this.#peer !== null && (this.#underWay > 0 || this.#paused || !this.#frames.atBoundary)
  }

  /** A peer that does not take its answers, asks for too much at once, or goes too fast, is not listened to meanwhile. */
  #balance(): void {
    const full =
      this.#held ||
      this.#waits ||
      this.#link.queuedBytes + this.#expectedBytes > queuedBytesMax() ||
      this.#underWay >= CALLS_OUTSTANDING_MAX
    if (full === this.#paused || this.#closed) return
    this.#paused = full
    if (!full) return this.#resume()
    this.#frames.pause()
    this.#link.pause()
  }

  #resume(): void {
    this.#link.resume()
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

  /** A peer that takes no answers, or stops within a request, holds memory of everyone; one that is gone holds what waits for it. */
  #letGoOfSilent(): void {
    const isStalled = this.#link.queuedBytes > 0 || (!this.#paused && !this.#frames.atBoundary)
    if (isStalled || !this.#watch.isThere()) this.#link.destroy()
  }
}

function queuedBytesMax(): number {
  return isCrowded() ? ANSWERS_QUEUED_BYTES_MAX_CROWDED : ANSWERS_QUEUED_BYTES_MAX
}

/** Throws unless the token is the cluster's own. */
export function requireCluster({ claims }: Peer): void {
  if (claims.job !== '')
    throw new MayflyError('FORBIDDEN', 'A job ticket grants no access to the control plane')
}
