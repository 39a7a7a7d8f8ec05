import type { OnReadOpts, Socket } from 'node:net'

/** A message of the `limit` system: the minimum that a store has to send. The payload is a buffer of its own. */
export interface Frame {
  readonly id: number
  readonly key: string
  readonly payload: Buffer
}

/** Request id, key length, payload length. */
const HEADER_BYTES = 12
const SCRATCH_BYTES = 65_536
/** Up to this size, a copy into a joint buffer is cheaper than an entry of a `writev`. */
const COPIED_BYTES_MAX = 8_192

/** Cuts received bytes into frames; the rest of a large payload is read directly into its buffer. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void
  readonly #scratch = Buffer.allocUnsafe(SCRATCH_BYTES)
  /** Bytes of the scratch buffer that are in use. */
  #filled = 0
  #large: { readonly frame: Frame; filled: number } | null = null

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame
  }

  /** For the socket's constructor. */
  get onread(): OnReadOpts {
    return {
      buffer: () => this.#target(),
      callback: (bytes: number) => {
        this.#read(bytes)
        return true
      },
    } as OnReadOpts
  }

  /** For a socket without `onread`. */
  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.#target(), 0, at)
      at += copied
      this.#read(copied)
    }
  }

  #read(bytes: number): void {
    if (this.#large === null) this.#readScratch(bytes)
    else this.#readLarge(this.#large, bytes)
  }

  #target(): Buffer {
    if (this.#large !== null) return this.#large.frame.payload.subarray(this.#large.filled)
    return this.#scratch.subarray(this.#filled)
  }

  #readLarge(large: { readonly frame: Frame; filled: number }, bytes: number): void {
    large.filled += bytes
    if (large.filled < large.frame.payload.length) return
    this.#large = null
    this.#onFrame(large.frame)
  }

  #readScratch(bytes: number): void {
    const scratch = this.#scratch
    const end = this.#filled + bytes
    let at = 0
    while (end - at >= HEADER_BYTES) {
      const keyBytes = scratch.readUInt32LE(at + 4)
      const payloadBytes = scratch.readUInt32LE(at + 8)
      const from = at + HEADER_BYTES + keyBytes
      if (from > end) break
      const key = scratch.toString('latin1', at + HEADER_BYTES, from)
      const frame = { id: scratch.readUInt32LE(at), key, payload: Buffer.allocUnsafeSlow(payloadBytes) }
      const filled = scratch.copy(frame.payload, 0, from, Math.min(end, from + payloadBytes))
      at = from + filled
      if (filled < payloadBytes) this.#large = { frame, filled }
      else this.#onFrame(frame)
    }
    scratch.copyWithin(0, at, end)
    this.#filled = end - at
  }
}

/** Writes the frames of one turn of the event loop together. */
export class FrameWriter {
  readonly #socket: Socket
  #pieces: Buffer[] = []
  #isPlanned = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  write({ id, key, payload }: Frame): void {
    const isSmall = payload.length <= COPIED_BYTES_MAX
    const head = Buffer.allocUnsafe(HEADER_BYTES + key.length + (isSmall ? payload.length : 0))
    head.writeUInt32LE(id, 0)
    head.writeUInt32LE(key.length, 4)
    head.writeUInt32LE(payload.length, 8)
    head.write(key, HEADER_BYTES, 'latin1')
    if (isSmall) payload.copy(head, HEADER_BYTES + key.length)
    this.#pieces.push(head)
    if (!isSmall) this.#pieces.push(payload)
    if (this.#isPlanned) return
    this.#isPlanned = true
    process.nextTick(() => this.#flush())
  }

  #flush(): void {
    const pieces = this.#pieces
    this.#pieces = []
    this.#isPlanned = false
    this.#socket.cork()
    for (let from = 0; from < pieces.length; ) {
      let to = from + 1
      while (to < pieces.length && isSmallPiece(pieces[to - 1]) && isSmallPiece(pieces[to])) to++
      const run = pieces.slice(from, to)
      this.#socket.write(run.length === 1 ? (run[0] as Buffer) : Buffer.concat(run))
      from = to
    }
    this.#socket.uncork()
  }
}

function isSmallPiece(piece: Buffer | undefined): boolean {
  return piece !== undefined && piece.length <= 2 * COPIED_BYTES_MAX
}
