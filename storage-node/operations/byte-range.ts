import { MayflyError } from '../../protocol/errors.ts'
import { PAYLOAD_BYTES_MAX } from '../../protocol/limits.ts'

/** The range that answers a request from `offset`, with `length` bytes or all (0), bounded by one message. */
export function byteRangeOf(
  { offset, length }: { offset: number; length: number },
  bytes: number,
): { offset: number; bytes: number } {
  if (offset > 0 && offset >= bytes) {
    throw new MayflyError('RANGE_NOT_SATISFIABLE', `The object has ${bytes} bytes, none from ${offset} on`)
  }
  const most = length === 0 ? PAYLOAD_BYTES_MAX : Math.min(length, PAYLOAD_BYTES_MAX)
  return { offset, bytes: Math.min(bytes - offset, most) }
}
