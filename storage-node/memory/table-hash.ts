import { randomBytes } from 'node:crypto'
import { KEY_BYTES_MAX } from '../../protocol/limits.ts'

/** A key as a table looks for it. */
export interface KeyHash {
  readonly bucket: number
  readonly key: Uint8Array
  /** `tableHash` of both. */
  readonly hash: number
}

const BYTE_VALUES = 256

/** A process is one node: who knows what it stores must not know where its tables have it. */
const secret = new Uint32Array(new Uint8Array(randomBytes(4 * BYTE_VALUES * KEY_BYTES_MAX)).buffer)

/**
 * The hash by which tables find a key: simple tabulation (Pătraşcu and Thorup, 2012), a secret number of this process for each byte at
 * each place, of which it takes one load for a byte. The slot hash is published and has no secret: keys of one value of it are found in no time, and
 * would lie in one run of cells. Linear probing is as good with this one as with one that is random altogether.
 */
export function tableHash(key: Uint8Array, bucket: number): number {
  const numbers = secret
  const { length } = key
  // An odd factor: no two buckets have one number.
  let hash = Math.imul(bucket, BUCKET_FACTOR)
  for (let index = 0, place = 0; index < length; index++, place += BYTE_VALUES)
    hash ^= numbers[place + (key[index] as number)] as number
  return hash >>> 0
}

const BUCKET_FACTOR = (secret[0] as number) | 1
