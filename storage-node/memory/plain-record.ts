import { ENTRY_OVERHEAD_BYTES } from '../../protocol/limits.ts'
import { copyRange } from '../../protocol/wire/copy-bytes.ts'
import type { Arena } from './arena.ts'
import { HEADER_BYTES, HEADER_WORDS, KEY_MASK, longAt, putLong, roundUp } from './record.ts'

/** A key to be found: `keyBytes` bytes of `keys` from `keyStart` on. */
export interface PlainKey {
  readonly bucket: number
  readonly keys: Uint8Array
  readonly keyStart: number
  readonly keyBytes: number
  /** `tableHash` of bucket and key. */
  readonly hash: number
}

/**
 * A record to be written of a value without expiry, metadata, checksum and runs, whose bytes are in `payload` from
 * `start` on.
 */
export interface PlainRecord extends PlainKey {
  readonly version: number
  readonly payload: Uint8Array
  readonly start: number
  readonly bytes: number
}

/** A key, and then the value of its record, if that is plain. */
export interface PlainRead extends PlainKey {
  version: number
  payload: Uint8Array
  start: number
  bytes: number
}

/** As `chargeOf`. */
export function plainCharge(keyBytes: number, bytes: number): number {
  return ENTRY_OVERHEAD_BYTES + roundUp(keyBytes + bytes)
}

/** As `recordBytes`. */
export function plainBytes(keyBytes: number, bytes: number): number {
  return roundUp(HEADER_BYTES + keyBytes + bytes)
}

/** The length of the plain value at an address; -1 if the record has anything else. */
export function plainContentBytes(arena: Arena, at: number): number {
  const { words } = arena.slabOf(at)
  const word = arena.granuleOf(at) * 2
  const hasMetadata = (words[word + 4] as number) >>> 16 !== 0
  // Kind, flags and count of parts are 0.
  const isValue = (words[word + 5] as number) >>> 16 === 0
  return isValue && !hasMetadata ? (words[word] as number) : -1
}

/** Sets the version of the plain value at an address, and where it is. False if the record has anything else. */
export function readPlain(arena: Arena, at: number, read: PlainRead): boolean {
  const bytes = plainContentBytes(arena, at)
  if (bytes < 0) return false
  const { words, bytes: memory } = arena.slabOf(at)
  const word = arena.granuleOf(at) * 2
  read.version = longAt(words, word + 2)
  read.payload = memory
  read.start = (word + HEADER_WORDS) * 4 + read.keyBytes
  read.bytes = bytes
  return true
}

/** As `writeRecord`. */
export function writePlain(arena: Arena, at: number, table: number, record: PlainRecord): void {
  const { words, bytes: memory } = arena.slabOf(at)
  const word = arena.granuleOf(at) * 2
  const { keyBytes, bytes } = record
  words[word] = bytes
  words[word + 1] = record.bucket
  putLong(words, word + 2, record.version)
  words[word + 4] = keyBytes & KEY_MASK
  words[word + 5] = table
  const offset = (word + HEADER_WORDS) * 4
  copyRange(record.keys, record.keyStart, keyBytes, memory, offset)
  copyRange(record.payload, record.start, bytes, memory, offset + keyBytes)
}
