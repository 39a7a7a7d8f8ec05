import type { Codec } from '../protocol/codec.ts'
import { hello } from '../protocol/control-operations.ts'
import { errorReply } from '../protocol/error-reply.ts'
import { asMayflyError, errorTable, isError, MayflyError } from '../protocol/errors.ts'
import type { Frame } from '../protocol/frame.ts'
import { FrameReader } from '../protocol/frame-reader.ts'
import {
  CALLS_OUTSTANDING_MAX,
  ERROR_MESSAGE_BYTES_MAX,
  HELLO_BYTES_MAX,
  HELLO_MS_MAX,
  OUTBOX_BYTES_MAX,
  PROTOCOL_VERSION,
} from '../protocol/limits.ts'
import type { Link } from '../protocol/link.ts'
import type { Operation } from '../protocol/operation.ts'
import { Outbox } from '../protocol/outbox.ts'
import { Reader, violation } from '../protocol/reader.ts'
import type { Clock } from '../protocol/runtime.ts'
import { type Claims, verifyToken } from '../protocol/token.ts'
import type { Logger } from './log.ts'

export interface Reply<Head> {
  readonly head: Head
  readonly payload?: Uint8Array
}

export interface Payload {
  /** Valid until the handler returns, unless `owned`. */
  readonly bytes: Buffer
  /** Nobody else has this memory: it may be kept without a copy. */
  readonly owned: boolean
}

/** Who is at the other end of a connection. */
export interface Peer {
  readonly claims: Claims
  /** The client's session, over all its connections; empty for one that has none. */
  readonly session: string
  /** Runs `task` when the connection is gone; the returned function takes that back. */
  whenClosed(task: () => void): () => void
}

type Handle<Request, Head> = (
  peer: Peer,
  request: Request,
  payload: Payload,
) => Reply<Head> | Promise<Reply<Head>>

interface Entry {
  readonly operation: Operation<unknown, unknown>
  readonly handle: Handle<unknown, unknown>
}

/** The operations that a server offers. */
export class Handlers {
  readonly #entries = new Map<number, Entry>()

  on<Request, Head>(operation: Operation<Request, Head>, handle: Handle<Request, Head>): this {
    this.#entries.set(operation.number, { operation, handle } as Entry)
    return this
  }

  get(kind: number): Entry {
    const entry = this.#entries.get(kind)
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
}

/** Serves one connection: hello first, then any number of requests, each answered when it is done. */
export function serveLink(link: Link, options: ResponderOptions): void {
  new Responder(link, options).open()
}

class Responder {
  readonly #link: Link
  readonly #options: ResponderOptions
  readonly #outbox: Outbox
  readonly #reader = new FrameReader((frame) => this.#receive(frame), HELLO_BYTES_MAX)
  #peer: Peer | null = null
  readonly #closing = new Set<() => void>()
  #underWay = 0
  #paused = false
  #closed = false

  constructor(link: Link, options: ResponderOptions) {
    this.#link = link
    this.#options = options
    this.#outbox = new Outbox(link)
  }

  open(): void {
    const { clock } = this.#options
    const greeting = clock.after(HELLO_MS_MAX, () => {
      if (this.#peer === null) this.#link.destroy()
    })
    this.#link.open({
      data: (piece) => this.#data(piece),
      drained: () => this.#balance(),
      closed: () => {
        this.#closed = true
        greeting.cancel()
        for (const task of this.#closing) task()
      },
    })
  }

  /** A peer that breaks the protocol is told why, as far as it can listen, and cut off; nobody else notices. */
  #data(piece: Buffer): void {
    if (this.#closed) return
    try {
      this.#reader.push(piece)
    } catch (error) {
      this.#refuse(0, error)
    }
    this.#balance()
  }

  #receive(frame: Frame): void {
    if (this.#closed) return
    if (this.#peer === null) return this.#greet(frame)
    const { operation, handle } = this.#options.handlers.get(frame.kind)
    const request = decode(operation, frame)
    try {
      const reply = handle(this.#peer, request, { bytes: frame.payload, owned: frame.owned })
      if (reply instanceof Promise) this.#later(frame.id, operation.reply, reply)
      else this.#answer(frame.id, operation.reply, reply)
    } catch (error) {
      this.#fail(frame.id, error)
    }
  }

  #greet(frame: Frame): void {
    if (frame.kind !== hello.number) throw violation('the first message is not a hello')
    const { protocol, token, session } = decode(hello, frame)
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
        whenClosed: (task) => this.#onClose(task),
      }
    } catch (error) {
      return this.#refuse(frame.id, error)
    }
    this.#reader.allowAll()
    this.#answer(frame.id, hello.reply, { head: { server: this.#options.server } })
  }

  #onClose(task: () => void): () => void {
    this.#closing.add(task)
    return () => void this.#closing.delete(task)
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

  #answer<Head>(id: number, codec: Codec<Head>, reply: Reply<Head>): void {
    if (this.#closed) return
    this.#outbox.send({ id, kind: 0, codec, head: reply.head, payload: reply.payload })
  }

  #fail(id: number, thrown: unknown): void {
    if (this.#closed) return
    const error = asMayflyError(thrown)
    if (error.code === 'INTERNAL') this.#options.log.error({ err: thrown }, 'a request failed by a bug')
    const reason = error.reason.slice(0, ERROR_MESSAGE_BYTES_MAX / 4)
    this.#outbox.send({ id, kind: errorTable[error.code].wire, codec: errorReply, head: { reason } })
  }

  #refuse(id: number, thrown: unknown): void {
    if (!isError(thrown, 'INTERNAL'))
      this.#options.log.info({ reason: asMayflyError(thrown).reason }, 'connection refused')
    this.#fail(id, thrown)
    this.#outbox.flush()
    this.#closed = true
    this.#link.end()
  }

  /** A peer that does not take its answers, or asks for too much at once, is not read from until it has. */
  #balance(): void {
    const full = this.#link.queuedBytes > OUTBOX_BYTES_MAX || this.#underWay >= CALLS_OUTSTANDING_MAX
    if (full === this.#paused || this.#closed) return
    this.#paused = full
    if (full) this.#link.pause()
    else this.#link.resume()
  }
}

function decode<Request>(operation: Operation<Request, unknown>, frame: Frame): Request {
  const reader = new Reader(frame.head)
  const request = operation.request.read(reader)
  reader.finish()
  return request
}

/** Throws unless the token is the cluster's own. */
export function requireCluster({ claims }: Peer): void {
  if (claims.job !== '')
    throw new MayflyError('FORBIDDEN', 'A job ticket grants no access to the control plane')
}
