const C1 = 0xcc9e2d51
const C2 = 0x1b873593
/** Inverses of the two constants modulo 2^32. */
const C1_INVERSE = inverse(C1)
const C2_INVERSE = inverse(C2)

/**
 * Keys of 8 ASCII bytes that all have the same MurmurHash3_x86_32 with seed 0. Each step of the hash is invertible: for any first four bytes there are four
 * that lead to the same state. Those that are printable are used.
 */
export function keysOfOneHash(count: number): Buffer[] {
  const keys: Buffer[] = []
  const target = afterBlock(afterBlock(0, 0x61616161), 0x62626262)
  for (let number = 0; keys.length < count; number++) {
    const key = Buffer.alloc(8)
    for (let at = 0, left = number; at < 4; at++, left = Math.floor(left / 94)) key[at] = 33 + (left % 94)
    key.writeUInt32LE(blockBetween(afterBlock(0, key.readUInt32LE(0)), target), 4)
    if (key.every((byte) => byte > 32 && byte < 127)) keys.push(key)
  }
  return keys
}

function afterBlock(state: number, block: number): number {
  const mixed = Math.imul(rotl(Math.imul(block, C1), 15), C2)
  return (Math.imul(rotl(state ^ mixed, 13), 5) + 0xe6546b64) >>> 0
}

/** The block that leads from one state to the other. */
function blockBetween(from: number, to: number): number {
  const rotated = Math.imul(to - 0xe6546b64, inverse(5)) >>> 0
  const mixed = rotl(rotated, 32 - 13) ^ from
  return Math.imul(rotl(Math.imul(mixed, C2_INVERSE) >>> 0, 32 - 15), C1_INVERSE) >>> 0
}

function rotl(value: number, bits: number): number {
  return ((value << bits) | (value >>> (32 - bits))) >>> 0
}

/** The inverse modulo 2^32, by Newton's iteration. */
function inverse(odd: number): number {
  let guess = odd
  for (let step = 0; step < 5; step++) guess = Math.imul(guess, 2 - Math.imul(odd, guess))
  return guess >>> 0
}
