import { MayflyError } from '../errors.ts'
import {
  ANSWERS_QUEUED_BYTES_MANY,
  ANSWERS_QUEUED_BYTES_MAX,
  ANSWERS_QUEUED_BYTES_MAX_CROWDED,
  HEAD_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_COPIED_BYTES_MAX,
  SLAB_BYTES,
} from '../limits.ts'
import type { Codec } from '../wire/codec.ts'
import { giveSlab, takeSlab } from '../wire/slabs.ts'
import { Writer } from '../wire/writer.ts'
import type { Link } from './link.ts'

/** Usual size of a frame's header and head; a larger head outgrows its slab. */
const HEAD_BYTES_USUAL = 512

/** Most frames in one portion. */
const PORTION_MAX = 32

/** Smaller writes are copied out of their slab if they have to wait. */
const SMALL_BYTES_MAX = SLAB_BYTES / 4

const nothing: readonly Uint8Array[] = []

/** Bytes that all connections of this process have written and the network has not taken. */
let writtenBytes = 0

/** Bytes that may be queued for one peer: less if all connections together have queued much. */
export function queuedBytesMax(): number {
  const isCrowded = writtenBytes > ANSWERS_QUEUED_BYTES_MANY
  return isCrowded ? ANSWERS_QUEUED_BYTES_MAX_CROWDED : ANSWERS_QUEUED_BYTES_MAX
}

/** An outgoing frame. `kind` is an operation's number in a request; 0 or an error's number in a reply. */
export interface Outgoing<T> {
  readonly id: number
  readonly kind: number
  readonly codec: Codec<T>
  readonly head: T
  readonly payload?: Payload | undefined
  /** The payload's memory may change right after queueing: all of it is copied. */
  readonly transient?: boolean | undefined
  /** Called once, when the payload's memory is no longer read. */
  readonly sent?: (() => void) | undefined
}

/** The parts of a payload in order. They must not change until sent, unless `transient`. */
export type Payload = Uint8Array | readonly Uint8Array[]

/**
 * Encodes frames for one link. Everything produced in one turn of the event loop leaves in one write. With
 * `portion`, larger turns leave in several: the first has so many frames, each further one twice as many, up
 * to `PORTION_MAX`.
 */
export class Outbox {
  readonly #link: Link
  readonly #firstPortion: number
  readonly #writer = new Writer()
  #frames = 0
  #portion: number
  #parts: Uint8Array[] = []
  #slabs: Buffer[] = []
  #whenTaken: (() => void)[] = []
  #scheduled = false
  /** Bytes of frames that are not written yet. */
  #freshBytes = 0
  /** Frames so far. */
  sent = 0

  constructor(link: Link, portion = Number.POSITIVE_INFINITY) {
    this.#link = link
    this.#firstPortion = portion
    this.#portion = portion
  }

  /** Bytes that wait for the network. */
  get queuedBytes(): number {
    return this.#freshBytes + this.#link.queuedBytes
  }

  /**
   * Queues one frame. Throws, with nothing queued, if the head has a value that its codec cannot encode, or
   * the frame is too large.
   */
  send<T>(frame: Outgoing<T>): void {
    const { payload } = frame
    const parts = partsOf(payload)
    const payloadBytes = bytesOf(payload)
    const isSmall = payloadBytes <= PAYLOAD_COPIED_BYTES_MAX
    const writer = this.#writer
    if (writer.room < HEAD_BYTES_USUAL + (isSmall ? payloadBytes : 0)) this.#nextSlab()
    const start = writer.length
    writer.u32(0).u32(payloadBytes).u32(frame.id).u16(frame.kind).u16(0)
    const headStart = writer.length
    try {
      frame.codec.write(writer, frame.head)
    } catch (error) {
      writer.truncate(start)
      throw error
    }
    const headBytes = writer.length - headStart
    if (headBytes > HEAD_BYTES_MAX || payloadBytes > PAYLOAD_BYTES_MAX) {
      writer.truncate(start)
      throw new MayflyError('BAD_REQUEST', `A message of ${headBytes + payloadBytes} bytes fits no frame`)
    }
    writer.patchU32(start, headBytes)
    this.sent++
    this.#freshBytes += writer.length - start + payloadBytes
    let isLent = false
    for (const part of parts) {
      if (isSmall || part.length <= PAYLOAD_COPIED_BYTES_MAX || frame.transient === true) this.#copy(part)
      else {
        isLent = true
        this.#parts.push(writer.take(), part)
      }
    }
    if (frame.sent !== undefined) {
      if (isLent) this.#whenTaken.push(frame.sent)
      else frame.sent()
    }
    if (++this.#frames < this.#portion) this.#schedule()
    else this.#writePortion()
  }

  /** Writes all queued frames now. */
  flush(): void {
    this.#portion = this.#firstPortion
    this.#write()
  }

  #writePortion(): void {
    this.#portion = Math.min(2 * this.#portion, PORTION_MAX)
    this.#write()
  }

  #write(): void {
    const bytes = this.#freshBytes
    this.#scheduled = false
    this.#frames = 0
    this.#freshBytes = 0
    const writer = this.#writer
    if (writer.length > 0) this.#parts.push(writer.take())
    writer.reset(noMemory)
    const parts = this.#parts
    const slabs = this.#slabs
    const whenTaken = this.#whenTaken
    this.#parts = []
    this.#slabs = []
    this.#whenTaken = []
    const [first] = parts
    if (first === undefined) return
    writtenBytes += bytes
    if (parts.length === 1 && first.length <= SMALL_BYTES_MAX && this.#link.queuedBytes > 0) {
      // The peer is slow: retain no more memory for it than it has bytes queued.
      this.#link.write([Buffer.from(first)], () => {
        writtenBytes -= bytes
      })
      for (const slab of slabs) giveSlab(slab)
      return
    }
    this.#link.write(parts, () => {
      writtenBytes -= bytes
      for (const slab of slabs) giveSlab(slab)
      for (const taken of whenTaken) taken()
    })
  }

  #copy(part: Uint8Array): void {
    const writer = this.#writer
    if (part.length <= writer.room) {
      writer.raw(part)
      return
    }
    for (let from = 0; from < part.length; ) {
      if (writer.room === 0) this.#nextSlab()
      const to = Math.min(part.length, from + writer.room)
      writer.raw(part.subarray(from, to))
      from = to
    }
  }

  #nextSlab(): void {
    const writer = this.#writer
    if (writer.length > 0) this.#parts.push(writer.take())
    const slab = takeSlab()
    this.#slabs.push(slab)
    writer.reset(slab)
  }

  /** After all microtasks, so that requests sent for the answers of one read leave together. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(() => {
      if (this.#scheduled) this.flush()
    })
  }
}

/** Of all parts together. */
export function bytesOf(payload: Payload | undefined): number {
  let bytes = 0
  for (const part of partsOf(payload)) bytes += part.length
  return bytes
}

function partsOf(payload: Payload | undefined): readonly Uint8Array[] {
  if (payload === undefined) return nothing
  return payload instanceof Uint8Array ? [payload] : payload
}

const noMemory = Buffer.alloc(0)
