import type { Arena } from './arena.ts'
import {
  bytesOfParts,
  HAS_BASE,
  HAS_CHECKSUM,
  HAS_EXPIRY,
  HEADER_BYTES,
  HEADER_WORDS,
  KEY_MASK,
  longAt,
  MANY_PARTS,
  PARTS_SHIFT,
} from './record.ts'

/** Up to this size a loop is faster than a view and a native comparison. */
const LOOP_BYTES_MAX = 48

const nothing = Buffer.alloc(0)

/**
 * Whether the record at an address has the key of `length` bytes in `keys` from `start` on. Reads the words directly, because it runs at every access.
 */
export function hasKey(
  arena: Arena,
  at: number,
  bucket: number,
  keys: Uint8Array,
  start: number,
  length: number,
): boolean {
  const { words, bytes } = arena.slabOf(at)
  const word = arena.granuleOf(at) * 2
  if (words[word + 1] !== bucket || ((words[word + 4] as number) & KEY_MASK) !== length) return false
  const offset = keyOffset(words, word)
  for (let index = 0; index < length; index++) if (bytes[offset + index] !== keys[start + index]) return false
  return true
}

/** Where in its slab the key of the record at a word begins. */
function keyOffset(words: Uint32Array, word: number): number {
  const flags = words[word + 5] as number
  const count = flags >>> PARTS_SHIFT
  let offset = word * 4 + HEADER_BYTES
  if (count !== 0)
    offset += bytesOfParts(count === MANY_PARTS ? (words[word + HEADER_WORDS] as number) : count)
  if ((flags & HAS_BASE) !== 0) offset += 8
  if ((flags & HAS_EXPIRY) !== 0) offset += 8
  if ((flags & HAS_CHECKSUM) !== 0) offset += 4
  return offset
}

function expiryOf(words: Uint32Array, word: number): number {
  const flags = words[word + 5] as number
  if ((flags & HAS_EXPIRY) === 0) return 0
  const hasCount = flags >>> PARTS_SHIFT === MANY_PARTS
  return longAt(words, word + HEADER_WORDS + (hasCount ? 1 : 0) + ((flags & HAS_BASE) === 0 ? 0 : 2))
}

/** The key of a record, read in place: one object serves all records of a scan. Valid until the arena changes. */
export class RecordKey {
  bucket = 0
  /** As `ObjectFields.expiresAtMs`. */
  expiresAtMs = 0
  length = 0
  #memory: Buffer = nothing
  #start = 0

  read(arena: Arena, at: number): this {
    const { words, bytes } = arena.slabOf(at)
    const word = arena.granuleOf(at) * 2
    this.bucket = words[word + 1] as number
    this.expiresAtMs = expiryOf(words, word)
    this.length = (words[word + 4] as number) & KEY_MASK
    this.#memory = bytes
    this.#start = keyOffset(words, word)
    return this
  }

  /** A view. */
  get bytes(): Buffer {
    return this.#memory.subarray(this.#start, this.#start + this.length)
  }

  /** As `Buffer.compare`, of the key and `other`. */
  compare(other: Uint8Array): number {
    const { length } = this
    if (length > LOOP_BYTES_MAX) return Buffer.compare(this.bytes, other)
    const memory = this.#memory
    const start = this.#start
    for (let index = 0; index < length; index++) {
      // Beyond the end of `other` it is not a number.
      const difference = (memory[start + index] as number) - (other[index] as number)
      if (difference !== 0) return Number.isNaN(difference) ? 1 : difference
    }
    return length - other.length
  }

  startsWith(prefix: Uint8Array): boolean {
    if (this.length < prefix.length) return false
    const memory = this.#memory
    const start = this.#start
    for (let index = 0; index < prefix.length; index++)
      if (memory[start + index] !== prefix[index]) return false
    return true
  }
}
