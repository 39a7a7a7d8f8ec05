import { isError, MayflyError } from '../../protocol/errors.ts'
import { hashKey } from '../../protocol/model/hash.ts'

/** A key of the job with its slot hash, of bucket and key. */
export interface KeyAddress {
  readonly bucket: number
  readonly key: Buffer
  readonly hash: number
}

export function addressOf(bucket: number, key: Buffer): KeyAddress {
  return { bucket, key, hash: hashKey(key, bucket) }
}

/** The key as the caller passed it. */
export function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString()
}

/** The same error with the key's name in it, if it is about an object. */
export function withKey(error: unknown, key: Uint8Array | undefined): unknown {
  if (key === undefined || !isError(error, ...aboutObjects)) return error
  return new MayflyError(error.code, `${error.reason} (key '${nameOf(key)}')`, { cause: error })
}

/** Codes whose message is about an object and does not name it. */
const aboutObjects = [
  'NOT_FOUND',
  'KEY_EXISTS',
  'VERSION_MISMATCH',
  'OBJECT_LOST',
  'OUTCOME_UNKNOWN',
] as const
