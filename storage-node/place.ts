import { MayflyError } from '../protocol/errors.ts'
import { hashChunk, hashKey, slotOf } from '../protocol/hash.ts'
import { checkKey } from '../protocol/keys.ts'
import type { JobSpace } from './job-space.ts'
import type { KeyString, Slot } from './slot.ts'

export interface Address {
  readonly bucket: number
  readonly key: Uint8Array
}

/** Where a key, or a chunk of its object, lies in a job: a slot that this node owns, and the key's name there. */
export interface Place {
  readonly slot: Slot
  readonly index: number
  readonly bucket: number
  readonly key: KeyString
}

/** Checks a key and finds its slot. Throws `BAD_REQUEST`, and what `ownedSlot` throws. */
export function locate(job: JobSpace, { bucket, key }: Address): Place {
  checkKey(key)
  return placeAt(job, { bucket, key }, hashKey(key, bucket))
}

/** Finds the slot of one chunk of a version. */
export function locateChunk(job: JobSpace, at: Address & { version: number; index: number }): Place {
  checkKey(at.key)
  return placeAt(job, at, hashChunk(hashKey(at.key, at.bucket), at.version, at.index))
}

export function keyString(key: Uint8Array): KeyString {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

export function keyBytes(key: KeyString): Buffer {
  return Buffer.from(key, 'latin1')
}

function placeAt(job: JobSpace, { bucket, key }: Address, hash: number): Place {
  const index = slotOf(hash, job.slots.length)
  const slot = job.ownedSlot(index)
  if (job.droppedBuckets.has(bucket)) throw new MayflyError('BUCKET_NOT_FOUND', 'The bucket was deleted')
  return { slot, index, bucket, key: keyString(key) }
}
