/** Below this size a loop is faster than `set`. */
const LOOP_BYTES_MAX = 48

/**
 * Copies `from` to `offset` in `to`, which has room for it. Used for keys and small values on the hot path.
 */
export function copyBytes(from: Uint8Array, to: Uint8Array, offset: number): void {
  const { length } = from
  if (length > LOOP_BYTES_MAX) to.set(from, offset)
  else for (let index = 0; index < length; index++) to[offset + index] = from[index] as number
}

/** As `copyBytes`, for `length` bytes of `from` from `start` on: no view is created for a small value. */
export function copyRange(
  from: Uint8Array,
  start: number,
  length: number,
  to: Uint8Array,
  offset: number,
): void {
  if (length > LOOP_BYTES_MAX) to.set(new Uint8Array(from.buffer, from.byteOffset + start, length), offset)
  else for (let index = 0; index < length; index++) to[offset + index] = from[start + index] as number
}
