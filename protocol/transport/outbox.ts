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

/** Header and head of a frame as they usually are; a larger head grows out of its slab. */
const HEAD_BYTES_USUAL = 512

/** Frames in one write of a turn that is written in portions, at most. */
const PORTION_MAX = 32

/** A write up to this size is copied out of its slab if it has to wait. */
const SMALL_BYTES_MAX = SLAB_BYTES / 4

const nothing: readonly Uint8Array[] = []

/** What all connections of this process have written and the network has not taken. */
let writtenBytes = 0

/** What may wait for one peer: less where all connections have written so much. */
export function queuedBytesMax(): number {
  const isCrowded = writtenBytes > ANSWERS_QUEUED_BYTES_MANY
  return isCrowded ? ANSWERS_QUEUED_BYTES_MAX_CROWDED : ANSWERS_QUEUED_BYTES_MAX
}

/** What goes out: an operation's number and fields in a request, 0 or an error's number in a reply. */
export interface Outgoing<T> {
  readonly id: number
  readonly kind: number
  readonly codec: Codec<T>
  readonly head: T
  readonly payload?: Payload | undefined
  /** The payload's memory may change as soon as this is queued: all of it is copied. */
  readonly transient?: boolean | undefined
  /** Called once, when nobody reads the payload's memory any more. */
  readonly sent?: (() => void) | undefined
}

/** The parts of a payload in their order. None may change until it is sent, unless it is `transient`. */
export type Payload = Uint8Array | readonly Uint8Array[]

/**
 * Encodes frames for one link. All that one turn of the event loop produces leaves in one write; with `portion`, in several
 * where it is more than so many frames: each has twice as many as the one before it, up to `PORTION_MAX`.
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
  /** Of frames that are not written yet. */
  #freshBytes = 0
  /** Frames so far. */
  sent = 0

  constructor(link: Link, portion = Number.POSITIVE_INFINITY) {
    this.#link = link
    this.#firstPortion = portion
    this.#portion = portion
  }

  /** What waits to be taken by the network. */
  get queuedBytes(): number {
    return this.#freshBytes + this.#link.queuedBytes
  }

  /** Queues one frame. Throws, with nothing queued, if the head has a value that its codec cannot carry, or no frame is that large. */
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

  /** Writes what is queued, now: the turn is over. */
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
      // The peer does not keep up: what waits for it takes no more memory than it has bytes.
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

  /** After all microtasks: what they send for answers that came in one read leaves together. */
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
