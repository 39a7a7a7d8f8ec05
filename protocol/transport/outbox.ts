import { MayflyError } from '../errors.ts'
import { HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_COPIED_BYTES_MAX, SLAB_BYTES } from '../limits.ts'
import { ByteRanges } from '../wire/byte-ranges.ts'
import { type CallContext, contextCodec } from '../wire/call-context.ts'
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

/** Memory of a queued write besides its bytes: requests to the network, views and callbacks. */
const WRITE_OVERHEAD_BYTES = 512

/** Counts process memory; negative bytes release it. */
interface ByteCount {
  add(bytes: number): void
}

/** An outgoing frame. `kind` is an operation's number in a request; 0 or an error's number in a reply. */
export interface Outgoing<T> {
  readonly id: number
  readonly kind: number
  readonly codec: Codec<T>
  readonly head: T
  /** Of a request. */
  readonly context?: CallContext | undefined
  readonly payload?: Payload | undefined
  /** The payload's memory may change right after queueing: all of it is copied. */
  readonly transient?: boolean | undefined
  /** Called once, when the payload's memory is no longer read. */
  readonly sent?: (() => void) | undefined
}

/** The parts of a payload in order. They must not change until sent, unless `transient`. Ranges are copied. */
export type Payload = Uint8Array | readonly Uint8Array[] | ByteRanges

/**
 * Encodes frames for one link. Everything produced for the input of one poll leaves in one write. With
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
  /** Until `flush` nothing is scheduled. */
  #isHeld = false
  /** Bytes of frames that are not written yet. */
  #freshBytes = 0
  /** The part of them that is in payloads of others. */
  #lentBytes = 0
  /** Charged with the memory of writes until the network has taken them. */
  account: ByteCount | null = null
  /** Bytes of writes that the network has taken. */
  takenBytes = 0
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
   * the frame is too large. Returns the bytes of its payload.
   */
  send<T>(frame: Outgoing<T>): number {
    const { payload } = frame
    const payloadBytes = bytesOf(payload)
    const isSmall = payloadBytes <= PAYLOAD_COPIED_BYTES_MAX
    const writer = this.#writer
    if (writer.room < HEAD_BYTES_USUAL + (isSmall ? payloadBytes : 0)) this.#nextSlab()
    const start = writer.length
    writer.u32(0).u32(payloadBytes).u32(frame.id).u16(frame.kind).u16(0)
    const headStart = writer.length
    let contextBytes = 0
    try {
      if (frame.context !== undefined) {
        contextCodec.write(writer, frame.context)
        contextBytes = writer.length - headStart
      }
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
    // The upper half of the word whose lower half is the kind.
    if (contextBytes > 0) writer.patchU32(start + 12, contextBytes * 0x10000 + frame.kind)
    this.sent++
    this.#freshBytes += writer.length - start + payloadBytes
    let isLent = false
    if (payload instanceof ByteRanges) this.#copyRanges(payload)
    else
      for (const part of partsOf(payload)) {
        if (isSmall || part.length <= PAYLOAD_COPIED_BYTES_MAX || frame.transient === true) this.#copy(part)
        else {
          isLent = true
          this.#lentBytes += part.length
          this.#parts.push(writer.take(), part)
        }
      }
    if (frame.sent !== undefined) {
      if (isLent) this.#whenTaken.push(frame.sent)
      else frame.sent()
    }
    if (++this.#frames < this.#portion) this.#schedule()
    else this.#writePortion()
    return payloadBytes
  }

  /** The caller calls `flush` in this turn of the event loop. */
  hold(): void {
    this.#isHeld = true
  }

  /** Writes all queued frames now. */
  flush(): void {
    this.#portion = this.#firstPortion
    this.#isHeld = false
    this.#write()
  }

  #writePortion(): void {
    this.#portion = Math.min(2 * this.#portion, PORTION_MAX)
    this.#write()
  }

  #write(): void {
    const bytes = this.#freshBytes
    const ownBytes = bytes - this.#lentBytes
    this.#scheduled = false
    this.#frames = 0
    this.#freshBytes = 0
    this.#lentBytes = 0
    const writer = this.#writer
    if (writer.length > 0) this.#parts.push(writer.take())
    writer.reset(noMemory)
    const parts = this.#parts
    const slabs = this.#slabs
    const whenTaken = this.#whenTaken
    this.#parts = []
    this.#slabs = []
    this.#whenTaken = []
    if (parts.length === 0) return
    // If the peer is slow, no more memory is retained for it than it has bytes queued.
    const isCopied = ownBytes <= SMALL_BYTES_MAX && this.#link.queuedBytes > 0
    // A head that outgrew its slab is in memory of its own, which grows by doubling.
    const slabBytes = ownBytes > slabs.length * SLAB_BYTES ? 2 * ownBytes : slabs.length * SLAB_BYTES
    const heldBytes = WRITE_OVERHEAD_BYTES + (isCopied ? ownBytes : slabBytes)
    const { account } = this
    account?.add(heldBytes)
    this.#link.write(isCopied ? outOf(slabs, parts) : parts, () => {
      this.takenBytes += bytes
      account?.add(-heldBytes)
      if (!isCopied) for (const slab of slabs) giveSlab(slab)
      for (const taken of whenTaken) taken()
    })
    if (isCopied) for (const slab of slabs) giveSlab(slab)
  }

  #copy(part: Uint8Array): void {
    const writer = this.#writer
    if (part.length <= writer.room) writer.raw(part)
    else this.#copyRange(part, 0, part.length)
  }

  #copyRanges(ranges: ByteRanges): void {
    for (let index = 0; index < ranges.count; index++)
      this.#copyRange(ranges.memoryAt(index), ranges.startAt(index), ranges.lengthAt(index))
  }

  #copyRange(memory: Uint8Array, start: number, length: number): void {
    const writer = this.#writer
    const end = start + length
    for (let from = start; from < end; ) {
      if (writer.room === 0) this.#nextSlab()
      const count = Math.min(end - from, writer.room)
      writer.rawRange(memory, from, count)
      from += count
    }
  }

  #nextSlab(): void {
    const writer = this.#writer
    if (writer.length > 0) this.#parts.push(writer.take())
    const slab = takeSlab()
    this.#slabs.push(slab)
    writer.reset(slab)
  }

  /** Requests sent for the input of one poll leave together, also if it came on many sockets, as in a server that calls nodes for its own clients. */
  #schedule(): void {
    if (this.#scheduled || this.#isHeld) return
    this.#scheduled = true
    this.#link.afterInput(() => {
      if (this.#scheduled) this.flush()
    })
  }
}

/** The parts, with copies of those that are in the slabs. */
function outOf(slabs: readonly Buffer[], parts: readonly Uint8Array[]): Uint8Array[] {
  return parts.map((part) => (slabs.some(({ buffer }) => buffer === part.buffer) ? Buffer.from(part) : part))
}

/** Of all parts together. */
export function bytesOf(payload: Payload | undefined): number {
  if (payload instanceof ByteRanges) return payload.bytes
  let bytes = 0
  for (const part of partsOf(payload)) bytes += part.length
  return bytes
}

function partsOf(payload: Exclude<Payload, ByteRanges> | undefined): readonly Uint8Array[] {
  if (payload === undefined) return nothing
  return payload instanceof Uint8Array ? [payload] : payload
}

const noMemory = Buffer.alloc(0)
