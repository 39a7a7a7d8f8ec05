import type { Link, LinkHandlers } from '../../../protocol/transport/link.ts'
import type { Host } from './host.ts'

/** What a connection asks of its network. */
export interface Wire {
  nowMs(): number
  at(atMs: number, task: () => void): void
  /** The delay of a piece, and into how many pieces the bytes are split. */
  delayMs(from: Host, to: Host): number
  pieces(bytes: number): number[]
  isBlocked(from: Host, to: Host): boolean
  chance(probability: number): boolean
  /** Whether the connection breaks instead of delivering the next piece. */
  isLost(): boolean
  reset(end: End): void
  forget(end: End): void
  received(bytes: Buffer): void
}

/** As Node's own high watermark of a socket, below every bound of what may be queued: `drained` follows only a write that exceeded it. */
const HIGH_WATERMARK_BYTES = 128

interface Segment {
  parts: readonly Uint8Array[]
  joined: Buffer | null
  /** Tells the sender that it may reuse its memory. */
  readonly taken: () => void
}

/** Part of what was written, or the end of the stream. */
interface Piece {
  readonly segment: Segment | null
  readonly from: number
  readonly to: number
}

/**
 * One end of a connection. Bytes keep their order, and are neither lost nor duplicated while the connection is open. When it breaks, the bytes under way are
 * lost from some byte on, possibly within a frame.
 */
export class End implements Link {
  readonly host: Host
  readonly #wire: Wire
  #peer: End | null = null
  #handlers: LinkHandlers | null = null
  #closed = false
  #ended = false
  #paused = false
  #inbox: Buffer[] = []
  #lastArrivalMs = 0
  /** In the order of sending. */
  readonly #underWay: Piece[] = []
  /** Nothing arrives from here for the moment, on this connection alone. */
  #isStalled = false
  /** Bytes from this end are dropped. */
  #isForgotten = false
  /** Arrivals that found the connection blocked. */
  #stalled = 0
  #queuedBytes = 0
  #mustDrain = false
  /** Bytes under way to this end never arrive. */
  #deaf = false
  /** Segments whose bytes the sender still owns. */
  readonly #flying = new Set<Segment>()

  private constructor(host: Host, wire: Wire) {
    this.host = host
    this.#wire = wire
  }

  static pair(a: Host, b: Host, wire: Wire): [End, End] {
    const first = new End(a, wire)
    const second = new End(b, wire)
    first.#peer = second
    second.#peer = first
    return [first, second]
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get peer(): End {
    return this.#peer as End
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    this.#later(() => this.#empty())
  }

  write(parts: readonly Uint8Array[], taken: () => void): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    if (this.#closed || this.#ended || bytes === 0) return taken()
    this.#queuedBytes += bytes
    if (this.#queuedBytes > HIGH_WATERMARK_BYTES) this.#mustDrain = true
    const segment = { parts, joined: null, taken }
    this.#flying.add(segment)
    let from = 0
    for (const length of this.#wire.pieces(bytes)) {
      this.#send({ segment, from, to: from + length })
      from += length
    }
  }

  afterInput(task: () => void): void {
    process.nextTick(task)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#later(() => this.#empty())
  }

  end(): void {
    if (this.#closed || this.#ended) return
    this.#ended = true
    this.#send({ segment: null, from: 0, to: 0 })
  }

  /** In half of the cases the bytes under way still arrive, because the kernel already has them. */
  destroy(): void {
    if (this.#closed) return
    this.#take()
    if (this.#wire.chance(0.5)) this.peer.#deaf = true
    this.#send({ segment: null, from: 0, to: 0 })
    this.close(null)
  }

  keepAlive(): void {
    // There is no real handle that could keep the process alive.
  }

  /** Breaks this side: bytes under way to it are lost, and `closed` is called. */
  close(cause: Error | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#take()
    this.#inbox = []
    this.#wire.forget(this)
    this.#later(() => this.#handlers?.closed(cause))
  }

  /** The process is gone, so no handler is called any more. */
  vanish(): void {
    this.#take()
    this.#closed = true
    this.#wire.forget(this)
  }

  /** Delays what this end sends, like retransmissions do. */
  stall(): void {
    this.#isStalled = true
  }

  /** From now on nothing that this end sends arrives, its end included, like at a gateway that has forgotten the connection. */
  forget(): void {
    this.#isForgotten = true
  }

  /** What was delayed continues, even if this end was closed meanwhile. */
  unstall(): void {
    this.#isStalled = false
    this.flow()
  }

  /** The way to the peer is free again, and waiting bytes continue. */
  flow(): void {
    const stalled = this.#stalled
    this.#stalled = 0
    for (let arrival = 0; arrival < stalled; arrival++) this.#schedule()
  }

  #send(piece: Piece): void {
    this.#underWay.push(piece)
    this.#schedule()
  }

  /** Each arrival delivers the first piece under way, so that none overtakes another. */
  #schedule(): void {
    const wire = this.#wire
    const arrivalMs = Math.max(wire.nowMs() + wire.delayMs(this.host, this.peer.host), this.#lastArrivalMs)
    this.#lastArrivalMs = arrivalMs
    wire.at(arrivalMs, () => this.#arrive())
  }

  #arrive(): void {
    if (this.#isStalled || this.#wire.isBlocked(this.host, this.peer.host)) {
      this.#stalled++
      return
    }
    const piece = this.#underWay.shift()
    if (piece === undefined) return
    if (!this.#closed && !this.peer.#closed && this.#wire.isLost()) {
      this.peer.#deaf = true
      return this.#wire.reset(this)
    }
    const { segment, from, to } = piece
    if (segment === null) {
      if (!this.#isForgotten) this.peer.#finish()
      return
    }
    const joined = join(segment)
    if (to === joined.length && this.#flying.delete(segment)) segment.taken()
    this.#queuedBytes -= to - from
    if (!this.#isForgotten) this.peer.#receive(joined.subarray(from, to))
    if (this.#queuedBytes > 0 || !this.#mustDrain || this.#closed) return
    this.#mustDrain = false
    this.#later(() => this.#handlers?.drained())
  }

  #receive(bytes: Buffer): void {
    if (this.#closed || this.#deaf) return
    this.#wire.received(bytes)
    this.host.run(() => {
      if (this.#closed) return
      this.#inbox.push(bytes)
      this.#empty()
    })
  }

  #finish(): void {
    if (this.#closed) return
    this.host.run(() => {
      if (this.#closed) return
      this.#empty()
      this.#send({ segment: null, from: 0, to: 0 })
      this.close(null)
    })
  }

  #empty(): void {
    while (!this.#paused && !this.#closed && this.#handlers !== null) {
      const bytes = this.#inbox.shift()
      if (bytes === undefined) return
      this.#deliver(bytes, this.#handlers)
    }
  }

  #deliver(bytes: Buffer, handlers: LinkHandlers): void {
    for (let offset = 0; offset < bytes.length && !this.#closed; ) {
      const copied = bytes.copy(handlers.space(), 0, offset)
      handlers.filled(copied)
      offset += copied
    }
  }

  /** From here on the kernel has the bytes, and the sender may reuse its memory. */
  #take(): void {
    const flying = [...this.#flying]
    this.#flying.clear()
    for (const segment of flying) {
      join(segment)
      segment.taken()
    }
  }

  #later(task: () => void): void {
    this.#wire.at(this.#wire.nowMs(), () => this.host.run(task))
  }
}

function join(segment: Segment): Buffer {
  segment.joined ??= Buffer.concat(segment.parts)
  segment.parts = []
  return segment.joined
}
