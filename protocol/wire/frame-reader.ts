import { RECEIVE_BYTES } from '../limits.ts'
import { FRAME_HEADER_BYTES, Frame, type Landing } from './frame.ts'
import { violation } from './reader.ts'

/** From this size on, the rest of a payload is received where it stays, though that takes a system call of its own. */
const DIRECT_BYTES_MIN = 16 * 1024

/**
 * All connections of a process receive into this, for what has arrived is worked off before anything else can:
 * what is left of a frame in parts is copied out of it.
 */
let received: Buffer | null = null

export interface FrameReaderOptions {
  /** Called for each frame. The frame is filled anew for the next one. */
  readonly onFrame: (frame: Frame) => void
  /** Bounds one frame until `allowAll` is called. */
  readonly frameBytesMax?: number
  /**
   * Asked where a payload goes that does not arrive with its header; null is a buffer of its own. The frame has its
   * header alone by then.
   */
  readonly land?: (frame: Frame) => Landing | null
}

/**
 * Cuts a byte stream into frames. It says where the next bytes go (`space`) and is told how many came (`filled`). A
 * frame that came in one piece is handed over where it lies. The payload of any other gets memory of its own, into which
 * the network writes all that had not arrived with its beginning: at most one copy, and none of most of a large one.
 */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void
  readonly #land: ((frame: Frame) => Landing | null) | undefined
  readonly #frame = new Frame()
  #frameBytesMax: number
  /** The beginning of a frame of which header and head are not all here; `#heldBytes` of it. */
  #held: Buffer | null = null
  #heldBytes = 0
  /** Where the payload of `#frame` goes that is under way; `#payloadBytes` of it are here. */
  #payload: Buffer | null = null
  #payloadBytes = 0
  #direct = false
  #paused = false
  /** What came of a stream that is paused. */
  #rest: Buffer | null = null
  #closed = false

  constructor({ onFrame, frameBytesMax = Number.POSITIVE_INFINITY, land }: FrameReaderOptions) {
    this.#onFrame = onFrame
    this.#frameBytesMax = frameBytesMax
    this.#land = land
  }

  /** Lifts the bound that holds before the hello has passed. */
  allowAll(): void {
    this.#frameBytesMax = Number.POSITIVE_INFINITY
  }

  /** True between two frames: a stream that ends elsewhere was cut off. */
  get atBoundary(): boolean {
    return this.#held === null && this.#payload === null
  }

  /** Hands over nothing more, not even what is here already, until `resume`. */
  pause(): void {
    this.#paused = true
  }

  /** Goes on, and throws, as `filled` does. Gives whether anything had come meanwhile. */
  resume(): boolean {
    this.#paused = false
    const rest = this.#rest
    if (rest === null) return false
    this.#rest = null
    this.#push(rest, rest.length, true)
    return true
  }

  /** Where the next bytes go. Those of a payload go where it stays, unless some that came before them wait for `resume`. */
  space(): Buffer {
    const missing = this.#payload === null ? 0 : this.#payload.length - this.#payloadBytes
    this.#direct = !this.#paused && this.#rest === null && missing >= DIRECT_BYTES_MIN
    if (this.#direct) return (this.#payload as Buffer).subarray(this.#payloadBytes)
    received ??= Buffer.allocUnsafeSlow(RECEIVE_BYTES)
    return received
  }

  /** Takes the first `bytes` of the last `space`. Throws `PROTOCOL_VIOLATION`; the stream is of no use after it. */
  filled(bytes: number): void {
    if (this.#direct) {
      this.#payloadBytes += bytes
      this.#finishPayload()
      return
    }
    this.#push(received as Buffer, bytes)
  }

  /** The stream is over: a payload that was under way is given up, and nothing more is handed over. */
  close(): void {
    this.#closed = true
    this.#rest = null
    if (this.#payload === null) return
    this.#payload = null
    const { landing } = this.#frame
    this.#frame.landing = null
    landing?.abandon()
  }

  /** `isOwned`: nobody else writes into the piece, so that what is left of it is not copied. */
  #push(piece: Buffer, end: number, isOwned = false): void {
    let offset = 0
    while (offset < end && !this.#closed && !this.#paused) {
      if (this.#payload !== null) offset = this.#fillPayload(piece, offset, end)
      else if (this.#held !== null) offset = this.#fillHeld(piece, offset, end)
      else offset = this.#begin(piece, offset, end)
    }
    if (offset < end && !this.#closed) this.#keep(piece.subarray(offset, end), isOwned)
  }

  #keep(bytes: Buffer, isOwned: boolean): void {
    if (this.#rest !== null) this.#rest = Buffer.concat([this.#rest, bytes])
    else this.#rest = isOwned ? bytes : Buffer.from(bytes)
  }

  /** A frame begins at `offset`. Returns where what follows begins. */
  #begin(piece: Buffer, offset: number, end: number): number {
    if (end - offset < FRAME_HEADER_BYTES) return this.#hold(piece, offset, end)
    const frame = this.#frame
    this.#readHeader(piece, offset)
    const headStart = offset + FRAME_HEADER_BYTES
    const payloadStart = headStart + frame.headBytes
    if (payloadStart > end) return this.#hold(piece, offset, end)
    frame.headMemory = piece
    frame.headStart = headStart
    const next = payloadStart + frame.payloadBytes
    if (next > end) {
      // The head has to outlive this piece.
      frame.headMemory = Buffer.from(frame.head)
      frame.headStart = 0
      return this.#beginPayload(piece, payloadStart, end)
    }
    frame.payloadMemory = piece
    frame.payloadStart = payloadStart
    frame.owned = false
    this.#onFrame(frame)
    return next
  }

  /** Keeps the beginning of a frame until header and head are here. */
  #hold(piece: Buffer, offset: number, end: number): number {
    const isHeaderHere = end - offset >= FRAME_HEADER_BYTES
    const bytes = FRAME_HEADER_BYTES + (isHeaderHere ? this.#frame.headBytes : 0)
    this.#held = Buffer.allocUnsafe(bytes)
    this.#heldBytes = piece.copy(this.#held, 0, offset, end)
    return end
  }

  #fillHeld(piece: Buffer, offset: number, end: number): number {
    const held = this.#held as Buffer
    const copied = piece.copy(held, this.#heldBytes, offset, end)
    this.#heldBytes += copied
    const next = offset + copied
    if (this.#heldBytes < held.length) return next
    const frame = this.#frame
    this.#readHeader(held, 0)
    const bytes = FRAME_HEADER_BYTES + frame.headBytes
    if (held.length < bytes) {
      this.#held = Buffer.allocUnsafe(bytes)
      held.copy(this.#held)
      return next
    }
    this.#held = null
    frame.headMemory = held
    frame.headStart = FRAME_HEADER_BYTES
    return this.#beginPayload(piece, next, end)
  }

  #readHeader(memory: Buffer, offset: number): void {
    const frame = this.#frame
    frame.readHeader(memory, offset)
    if (FRAME_HEADER_BYTES + frame.headBytes + frame.payloadBytes > this.#frameBytesMax) {
      throw violation(`a frame before the hello is over ${this.#frameBytesMax} bytes`)
    }
  }

  /** Header and head are here, and the payload is not, or not all of it. */
  #beginPayload(piece: Buffer, offset: number, end: number): number {
    const frame = this.#frame
    frame.landing = frame.payloadBytes > 0 ? (this.#land?.(frame) ?? null) : null
    this.#payload = frame.landing?.bytes ?? Buffer.allocUnsafeSlow(frame.payloadBytes)
    this.#payloadBytes = 0
    return this.#fillPayload(piece, offset, end)
  }

  #fillPayload(piece: Buffer, offset: number, end: number): number {
    const copied = piece.copy(this.#payload as Buffer, this.#payloadBytes, offset, end)
    this.#payloadBytes += copied
    this.#finishPayload()
    return offset + copied
  }

  #finishPayload(): void {
    const payload = this.#payload as Buffer
    if (this.#payloadBytes < payload.length) return
    const frame = this.#frame
    this.#payload = null
    frame.payloadMemory = payload
    frame.payloadStart = 0
    frame.owned = true
    this.#onFrame(frame)
    frame.landing = null
  }
}
