import { HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX } from './limits.ts'
import { violation } from './reader.ts'

/**
 * Every message is one frame: a header of 16 bytes, the head (the operation's fields), the payload (raw bytes).
 *
 * | offset | type | field |
 * | ---: | --- | --- |
 * | 0 | u32 | `headBytes` |
 * | 4 | u32 | `payloadBytes` |
 * | 8 | u32 | `id` of the request, repeated in its reply |
 * | 12 | u16 | `kind`: in a request the operation, in a reply 0 or the error's wire number |
 * | 14 | u16 | reserved, 0 |
 */
export const FRAME_HEADER_BYTES = 16

export interface Frame {
  readonly id: number
  readonly kind: number
  /** Valid until the handler returns, unless `owned`. */
  readonly head: Buffer
  /** Valid until the handler returns, unless `owned`: then nobody else has this memory and it may be kept. */
  readonly payload: Buffer
  readonly owned: boolean
}

interface FrameHeader {
  readonly headBytes: number
  readonly payloadBytes: number
  readonly id: number
  readonly kind: number
}

/** Reads and checks a header, before anything is allocated for what it announces. */
export function readHeader(buffer: Buffer, offset: number): FrameHeader {
  const headBytes = buffer.readUInt32LE(offset)
  const payloadBytes = buffer.readUInt32LE(offset + 4)
  if (headBytes > HEAD_BYTES_MAX)
    throw violation(`a frame's head of ${headBytes} bytes is over ${HEAD_BYTES_MAX}`)
  if (payloadBytes > PAYLOAD_BYTES_MAX) {
    throw violation(`a frame's payload of ${payloadBytes} bytes is over ${PAYLOAD_BYTES_MAX}`)
  }
  if (buffer.readUInt16LE(offset + 14) !== 0) throw violation('the reserved field of a frame is not 0')
  return {
    headBytes,
    payloadBytes,
    id: buffer.readUInt32LE(offset + 8),
    kind: buffer.readUInt16LE(offset + 12),
  }
}
