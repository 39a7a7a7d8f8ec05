import { RECEIVE_BYTES } from '../limits.ts'
import { FRAME_HEADER_BYTES, Frame, type Landing } from './frame.ts'
import { violation } from './reader.ts'

/**
 * From this size on the rest of a payload is received directly into its final memory, which takes a system
 * call of its own.
 */
const DIRECT_BYTES_MIN = 16 * 1024

/**
 * Receive buffer of all connections of a process. What has arrived is processed before the next read; partial
 * frames are copied out of it.
 */
let received: Buffer | null = null

/** Views of its beginning, by their size. */
const beginnings = new Map<number, Buffer>()

function receiveMemory(bytes: number): Buffer {
  received ??= Buffer.allocUnsafeSlow(RECEIVE_BYTES)
  if (bytes === RECEIVE_BYTES) return received
  const beginning = beginnings.get(bytes) ?? received.subarray(0, bytes)
  beginnings.set(bytes, beginning)
  return beginning
}

export interface FrameReaderOptions {
  /** Called for each frame. The frame object is reused. */
  readonly onFrame: (frame: Frame) => void
  /** Bounds one frame until `allowAll` is called. */
  readonly frameBytesMax?: number
  /**
   * Chooses the memory for a payload that does not arrive with its header; null allocates a buffer. The frame
   * has only its header then.
   */
  readonly land?: (frame: Frame) => Landing | null
  /**
   * Whether an incomplete frame may take `bytes` of memory. If not, delivery pauses, and the frame is tried
   * again after `resume`.
   */
  readonly admit?: (bytes: number) => boolean
}

/**
 * Splits a byte stream into frames. `space` provides memory for the next bytes, `filled` processes them. A
 * frame that arrived in one piece is delivered in place. Any other payload gets its own memory, into which
 * the network writes the rest: at most one copy, and none of most of a large payload.
 */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void
  readonly #land: ((frame: Frame) => Landing | null) | undefined
  readonly #admit: ((bytes: number) => boolean) | undefined
  readonly #frame = new Frame()
  #frameBytesMax: number
  /** The first `#heldBytes` bytes of a frame whose header or head is incomplete. */
  #held: Buffer | null = null
  #heldBytes = 0
  /** Memory of the payload of `#frame` that is being received, with `#payloadBytes` so far. */
  #payload: Buffer | null = null
  #payloadBytes = 0
  #direct = false
  #paused = false
  /** Bytes that arrived before the stream was paused. */
  #rest: Buffer | null = null
  #closed = false

  constructor({ onFrame, frameBytesMax = Number.POSITIVE_INFINITY, land, admit }: FrameReaderOptions) {
    this.#onFrame = onFrame
    this.#frameBytesMax = frameBytesMax
    this.#land = land
    this.#admit = admit
  }

  /** Lifts the bound that holds before the hello. */
  allowAll(): void {
    this.#frameBytesMax = Number.POSITIVE_INFINITY
  }

  /** True between two frames; a stream that ends elsewhere was cut off. */
  get atBoundary(): boolean {
    return this.#held === null && this.#payload === null
  }

  /** Memory of an incomplete frame and of bytes that wait for `resume`, besides a landing. */
  get heldBytes(): number {
    const receiving = this.#payload === null ? 0 : this.#ownBytes(this.#frame.landing)
    return (this.#held?.length ?? 0) + receiving + (this.#rest?.length ?? 0)
  }

  /** Delivers nothing, including what has arrived, until `resume`. */
  pause(): void {
    this.#paused = true
  }

  /** Continues, and throws, as `filled` does. Returns whether anything had arrived meanwhile. */
  resume(): boolean {
    this.#paused = false
    const rest = this.#rest
    if (rest === null) return false
    this.#rest = null
    this.#push(rest, rest.length, true)
    return true
  }

  /**
   * Memory for the next bytes: that of the payload being received, unless earlier bytes wait for `resume`, or
   * `bytes` of the shared memory.
   */
  space(bytes: number = RECEIVE_BYTES): Buffer {
    const missing = this.#payload === null ? 0 : this.#payload.length - this.#payloadBytes
    this.#direct = !this.#paused && this.#rest === null && missing >= DIRECT_BYTES_MIN
    if (this.#direct) return (this.#payload as Buffer).subarray(this.#payloadBytes)
    return receiveMemory(bytes)
  }

  /**
   * Processes `bytes` bytes of the last `space`. Throws `PROTOCOL_VIOLATION`; the stream is unusable after
   * it.
   */
  filled(bytes: number): void {
    if (this.#direct) {
      this.#payloadBytes += bytes
      this.#finishPayload()
      return
    }
    this.#push(received as Buffer, bytes)
  }

  /** Ends the stream: abandons the payload being received and delivers nothing more. */
  close(): void {
    this.#closed = true
    this.#rest = null
    this.#held = null
    if (this.#payload === null) return
    this.#payload = null
    const { landing } = this.#frame
    this.#frame.landing = null
    landing?.abandon()
  }

  /** `isOwned`: the piece is not reused, so its rest need not be copied. */
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

  /** Starts a frame at `offset`. Returns the offset after it. */
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
      if (!this.#allocatePayload()) return offset
      // The head must outlive this piece.
      frame.headMemory = Buffer.from(frame.head)
      frame.headStart = 0
      return this.#fillPayload(piece, payloadStart, end)
    }
    frame.payloadMemory = piece
    frame.payloadStart = payloadStart
    frame.owned = false
    this.#onFrame(frame)
    return next
  }

  /**
   * Stores the beginning of a frame until header and head are complete. Returns the offset up to which it is
   * stored.
   */
  #hold(piece: Buffer, offset: number, end: number): number {
    const isHeaderHere = end - offset >= FRAME_HEADER_BYTES
    const bytes = FRAME_HEADER_BYTES + (isHeaderHere ? this.#frame.headBytes : 0)
    if (!this.#mayHold(bytes)) return offset
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
      if (!this.#mayHold(bytes)) return next
      this.#held = Buffer.allocUnsafe(bytes)
      held.copy(this.#held)
      return next
    }
    if (!this.#allocatePayload()) return next
    this.#held = null
    frame.headMemory = held
    frame.headStart = FRAME_HEADER_BYTES
    return this.#fillPayload(piece, next, end)
  }

  #mayHold(bytes: number): boolean {
    if (this.#admit === undefined || this.#admit(bytes)) return true
    this.#paused = true
    return false
  }

  #readHeader(memory: Buffer, offset: number): void {
    const frame = this.#frame
    frame.readHeader(memory, offset)
    if (FRAME_HEADER_BYTES + frame.headBytes + frame.payloadBytes > this.#frameBytesMax) {
      throw violation(`a frame before the hello is over ${this.#frameBytesMax} bytes`)
    }
  }

  /** Header and head are complete, the payload is not. False if there is no memory for it. */
  #allocatePayload(): boolean {
    const frame = this.#frame
    const { payloadBytes } = frame
    const landing = payloadBytes > 0 ? (this.#land?.(frame) ?? null) : null
    if (payloadBytes > 0 && !this.#mayHold(this.#ownBytes(landing))) {
      landing?.abandon()
      return false
    }
    frame.landing = landing
    this.#payload = landing?.bytes ?? Buffer.allocUnsafeSlow(payloadBytes)
    this.#payloadBytes = 0
    return true
  }

  /** Memory of the frame that is being received besides a landing. */
  #ownBytes(landing: Landing | null): number {
    const { headBytes, payloadBytes } = this.#frame
    return FRAME_HEADER_BYTES + headBytes + (landing === null ? payloadBytes : 0)
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
