import { randomBytes } from 'node:crypto'
import { KEY_BYTES_MAX } from '../../protocol/limits.ts'

/** A key with its table hash. */
export interface KeyHash {
  readonly bucket: number
  readonly key: Uint8Array
  /** `tableHash` of bucket and key. */
  readonly hash: number
}

const BYTE_VALUES = 256

/** A secret per process: knowing the stored keys must not reveal their table positions. */
const secret = new Uint32Array(new Uint8Array(randomBytes(4 * BYTE_VALUES * KEY_BYTES_MAX)).buffer)

/**
 * The hash of tables: simple tabulation (Pătraşcu and Thorup, 2012), with a secret random number per byte
 * value and position. It costs one load per byte. The published slot hash has no secret: keys with equal slot
 * hashes are easy to find and would fill one run of cells. With this hash linear probing performs as with a
 * fully random one.
 */
export function tableHash(key: Uint8Array, bucket: number): number {
  return tableHashOfRange(key, 0, key.length, bucket)
}

/** `tableHash` of `length` bytes from `start` on. */
export function tableHashOfRange(bytes: Uint8Array, start: number, length: number, bucket: number): number {
  const numbers = secret
  const end = start + length
  // The factor is odd: no two buckets get the same number.
  let hash = Math.imul(bucket, BUCKET_FACTOR)
  for (let index = start, place = 0; index < end; index++, place += BYTE_VALUES)
    hash ^= numbers[place + (bytes[index] as number)] as number
  return hash >>> 0
}

const BUCKET_FACTOR = (secret[0] as number) | 1
