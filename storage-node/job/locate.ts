import { hashChunk, hashKey, hashRange, slotOf } from '../../protocol/model/hash.ts'
import { checkKey, checkKeyRange, DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import { type KeyHash, tableHash, tableHashOfRange } from '../memory/table-hash.ts'
import type { PlainValue } from '../slot/plain-value.ts'
import type { Slot } from '../slot/slot.ts'
import type { NodeJob } from './job.ts'

export interface Address {
  readonly bucket: number
  readonly key: Uint8Array
}

/** One chunk of a version of a key. */
export interface ChunkName extends Address {
  readonly version: number
  readonly index: number
}

/** The slot of a key, or of a chunk, which this node owns, and the key with its table hash. */
export interface KeyLocation extends KeyHash {
  readonly slot: Slot
  readonly index: number
}

/** Checks a key and finds its slot. Throws `BAD_REQUEST`, and what `ownedSlot` throws. */
export function locate(job: NodeJob, { bucket, key }: Address): KeyLocation {
  checkKey(key)
  return locateHash(job, { bucket, key }, hashKey(key, bucket))
}

/** Finds the slot of a chunk. Throws as `locate`. */
export function locateChunk(job: NodeJob, chunk: ChunkName): KeyLocation {
  const { bucket, key, version, index } = chunk
  checkKey(key)
  return locateHash(job, { bucket, key }, hashChunk(hashKey(key, bucket), version, index))
}

function locateHash(job: NodeJob, { bucket, key }: Address, slotHash: number): KeyLocation {
  const index = slotOf(slotHash, job.owned.count)
  return { slot: servedSlot(job, bucket, index), index, bucket, key, hash: tableHash(key, bucket) }
}

/**
 * As `locate`, for a key that was located before a wait: its slot may have left this node since, or come back.
 * The key is not hashed again.
 */
export function locateAgain(job: NodeJob, place: KeyLocation): KeyLocation {
  return { ...place, slot: servedSlot(job, place.bucket, place.index) }
}

/** As `locate`, for the key of a plain value: sets its slot and hash. */
export function locatePlain(job: NodeJob, value: PlainValue): void {
  const { bucket, keys, keyStart, keyBytes } = value
  checkKeyRange(keys, keyStart, keyBytes)
  const slotHash = hashRange(keys, keyStart, keyBytes, bucket)
  value.slot = servedSlot(job, bucket, slotOf(slotHash, job.owned.count))
  value.hash = tableHashOfRange(keys, keyStart, keyBytes, bucket)
}

/** The slot, if it may be served and the bucket exists. */
function servedSlot(job: NodeJob, bucket: number, index: number): Slot {
  const slot = job.ownedSlot(index)
  requireBucket(job, bucket)
  return slot
}

/** As `JobBuckets.require`. */
export function requireBucket({ buckets }: NodeJob, bucket: number): void {
  if (bucket !== DEFAULT_BUCKET_ID) buckets.require(bucket)
}
