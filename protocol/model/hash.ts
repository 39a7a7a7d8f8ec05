/**
 * The slot hash: MurmurHash3, 32 bits, x86 variant (Austin Appleby, public domain), over a key's UTF-8 bytes.
 * The seed is the bucket's id. It is part of the wire: a client in another language must agree with the test
 * vectors in docs/protocol.md.
 */
export function hashKey(bytes: Uint8Array, seed: number): number {
  return hashRange(bytes, 0, bytes.length, seed)
}

/** `hashKey` of `length` bytes from `start` on. */
export function hashRange(bytes: Uint8Array, start: number, length: number, seed: number): number {
  const end = start + length
  const blocksEnd = end - (length & 3)
  let hash = seed | 0
  let offset = start
  for (; offset < blocksEnd; offset += 4) {
    const block =
      byteAt(bytes, offset) |
      (byteAt(bytes, offset + 1) << 8) |
      (byteAt(bytes, offset + 2) << 16) |
      (byteAt(bytes, offset + 3) << 24)
    hash ^= scramble(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let last = end - 1; last >= blocksEnd; last--) tail = (tail << 8) | byteAt(bytes, last)
  hash ^= scramble(tail)
  return finalize(hash ^ length)
}

/**
 * The hash that places chunk `index` of a version. It mixes the key's hash instead of hashing the key again;
 * neighbouring chunks get unrelated slots.
 */
export function hashChunk(keyHash: number, version: number, index: number): number {
  let hash = keyHash | 0
  hash = finalize(hash ^ Math.floor(version / 2 ** 32))
  hash = finalize(hash ^ (version >>> 0))
  return finalize(hash ^ Math.imul(index + 1, 0x9e3779b1))
}

/** `slots` is a power of two, so the low bits decide. */
export function slotOf(hash: number, slots: number): number {
  return (hash & (slots - 1)) >>> 0
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

function finalize(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
