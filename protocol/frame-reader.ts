import { FRAME_HEADER_BYTES, type Frame, readHeader } from './frame.ts'
import { violation } from './reader.ts'

/**
 * Cuts a byte stream into frames. A frame that lies within one received piece is a view of it; one that does not
 * gets a buffer of its own, filled as its bytes arrive: one copy, whatever its size.
 */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES)
  #headerBytes = 0
  #body: Buffer | null = null
  #bodyBytes = 0
  #frameBytesMax: number

  /** `frameBytesMax` bounds one frame until `allowAll` is called. */
  constructor(onFrame: (frame: Frame) => void, frameBytesMax = Number.POSITIVE_INFINITY) {
    this.#onFrame = onFrame
    this.#frameBytesMax = frameBytesMax
  }

  /** Lifts the bound that holds before the hello has passed. */
  allowAll(): void {
    this.#frameBytesMax = Number.POSITIVE_INFINITY
  }

  /** True between two frames: a stream that ends elsewhere was cut off. */
  get atBoundary(): boolean {
    return this.#headerBytes === 0
  }

  /** Takes the next piece of the stream. Throws `PROTOCOL_VIOLATION`; the stream is of no use after it. */
  push(piece: Buffer): void {
    let offset = 0
    while (offset < piece.length) {
      if (this.#body !== null) {
        offset += this.#fill(piece, offset)
        continue
      }
      if (this.#headerBytes === 0 && piece.length - offset >= FRAME_HEADER_BYTES) {
        offset = this.#begin(piece, offset, offset + FRAME_HEADER_BYTES, piece)
        continue
      }
      const copied = piece.copy(this.#header, this.#headerBytes, offset)
      this.#headerBytes += copied
      offset += copied
      if (this.#headerBytes === FRAME_HEADER_BYTES) offset = this.#begin(this.#header, 0, offset, piece)
    }
  }

  /** Starts the frame whose header lies at `at` of `source`, its body at `from` of `piece`. Returns what follows. */
  #begin(source: Buffer, at: number, from: number, piece: Buffer): number {
    const { headBytes, payloadBytes, id, kind } = readHeader(source, at)
    const bodyBytes = headBytes + payloadBytes
    if (FRAME_HEADER_BYTES + bodyBytes > this.#frameBytesMax) {
      throw violation(`a frame before the hello is over ${this.#frameBytesMax} bytes`)
    }
    if (piece.length - from >= bodyBytes) {
      this.#headerBytes = 0
      this.#emit(id, kind, { body: piece.subarray(from, from + bodyBytes), headBytes, owned: false })
      return from + bodyBytes
    }
    if (source !== this.#header) source.copy(this.#header, 0, at, at + FRAME_HEADER_BYTES)
    this.#headerBytes = FRAME_HEADER_BYTES
    this.#body = Buffer.allocUnsafeSlow(bodyBytes)
    this.#bodyBytes = 0
    return from
  }

  #fill(piece: Buffer, offset: number): number {
    const body = this.#body as Buffer
    const copied = piece.copy(body, this.#bodyBytes, offset)
    this.#bodyBytes += copied
    if (this.#bodyBytes === body.length) {
      const { headBytes, id, kind } = readHeader(this.#header, 0)
      this.#body = null
      this.#headerBytes = 0
      this.#emit(id, kind, { body, headBytes, owned: true })
    }
    return copied
  }

  #emit(id: number, kind: number, parts: { body: Buffer; headBytes: number; owned: boolean }): void {
    const { body, headBytes, owned } = parts
    this.#onFrame({ id, kind, head: body.subarray(0, headBytes), payload: body.subarray(headBytes), owned })
  }
}
