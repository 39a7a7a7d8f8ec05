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
