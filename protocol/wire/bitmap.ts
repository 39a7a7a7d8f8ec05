/** A set of small numbers: bit i mod 8 of byte i / 8 stands for i. `count` is one more than the largest. */
export function bitmapOf(members: Iterable<number>, count: number): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(count / 8))
  for (const member of members) bitmap[member >> 3] = (bitmap[member >> 3] ?? 0) | (1 << (member & 7))
  return bitmap
}

export function hasBit(bitmap: Uint8Array, member: number): boolean {
  return (((bitmap[member >> 3] ?? 0) >> (member & 7)) & 1) === 1
}
