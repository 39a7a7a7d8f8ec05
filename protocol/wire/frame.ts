import { CONTEXT_BYTES_MAX, HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../limits.ts'
import { type CallContext, readContext } from './call-context.ts'
import { readU16, readU32, violation } from './reader.ts'

/**
 * Every message is one frame: a header of 16 bytes, the head (the operation's fields, in a request after its context if it has one), the
 * payload (raw bytes).
 *
 * | offset | type | field |
 * | ---: | --- | --- |
 * | 0 | u32 | `headBytes` |
 * | 4 | u32 | `payloadBytes` |
 * | 8 | u32 | `id` of the request, repeated in its reply |
 * | 12 | u16 | `kind`: in a request the operation, in a reply 0 or the error's wire number |
 * | 14 | u16 | `contextBytes`: the part of `headBytes` that is the context; 0 without one |
 */
export const FRAME_HEADER_BYTES = 16

const nothing = Buffer.alloc(0)

/** Memory that a payload is received into. */
export interface Landing {
  /** Exactly as long as the payload. */
  readonly bytes: Buffer
  /** The connection broke before the payload was complete: the memory is not used. */
  abandon(): void
}

/**
 * A received message. Its reader reuses the object, so that a message allocates nothing; views of head and
 * payload are created on demand.
 */
export class Frame {
  id = 0
  kind = 0
  headBytes = 0
  /** The first bytes of the head that are the request's context. */
  contextBytes = 0
  payloadBytes = 0
  /** Holds the head at `headStart`, until the handler returns. */
  headMemory: Buffer = nothing
  headStart = 0
  /** Holds the payload at `payloadStart`, until the handler returns unless `owned`. */
  payloadMemory: Buffer = nothing
  payloadStart = 0
  /** The payload owns all of `payloadMemory`: it may be retained. */
  owned = false
  /** Where the payload was received, if its receiver chose that. */
  landing: Landing | null = null

  /** Where in `headMemory` the fields of the operation begin. */
  get fieldsStart(): number {
    return this.headStart + this.contextBytes
  }

  get fieldsBytes(): number {
    return this.headBytes - this.contextBytes
  }

  get head(): Buffer {
    return this.headMemory.subarray(this.headStart, this.headStart + this.headBytes)
  }

  /** Null without one. Throws `PROTOCOL_VIOLATION`. */
  get context(): CallContext | null {
    return this.contextBytes === 0 ? null : readContext(this.headMemory, this.headStart, this.contextBytes)
  }

  get payload(): Buffer {
    if (this.owned) return this.payloadMemory
    return this.payloadMemory.subarray(this.payloadStart, this.payloadStart + this.payloadBytes)
  }

  /** The payload in memory of its own. */
  copyPayload(): Buffer {
    const { payloadBytes, payloadMemory, payloadStart } = this
    if (payloadBytes === 0) return nothing
    const copy = Buffer.allocUnsafe(payloadBytes)
    payloadMemory.copy(copy, 0, payloadStart, payloadStart + payloadBytes)
    return copy
  }

  /** Reads and validates the header at `offset` before anything is allocated for it. */
  readHeader(memory: Buffer, offset: number): void {
    this.headBytes = readU32(memory, offset)
    this.payloadBytes = readU32(memory, offset + 4)
    this.id = readU32(memory, offset + 8)
    this.kind = readU16(memory, offset + 12)
    if (this.headBytes > HEAD_BYTES_MAX) {
      throw violation(`a frame's head of ${this.headBytes} bytes is over ${HEAD_BYTES_MAX}`)
    }
    if (this.payloadBytes > PAYLOAD_BYTES_MAX) {
      throw violation(`a frame's payload of ${this.payloadBytes} bytes is over ${PAYLOAD_BYTES_MAX}`)
    }
    this.contextBytes = readU16(memory, offset + 14)
    if (this.contextBytes > Math.min(this.headBytes, CONTEXT_BYTES_MAX))
      throw violation(`a frame's context of ${this.contextBytes} bytes is too long`)
  }
}
