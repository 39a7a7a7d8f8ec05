import { hashChunk, hashKey, slotOf } from '../../protocol/model/hash.ts'
import { chunkGroupKey } from '../slot/chunks.ts'
import { keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import { isManifest, manifestOf, type StoredObject } from '../slot/stored-object.ts'
import type { Ending } from '../slot/version-leases.ts'
import type { NodeJob } from './job.ts'
import type { Address } from './locate.ts'

/** More chunks would block the event loop; `ChunkGc` frees those. */
const FREED_AT_ONCE_MAX = 64

/** Null if the object has no chunks, or more than are freed at once. */
export function endingOf(job: NodeJob, object: StoredObject | undefined): Ending | null {
  if (object === undefined || !isManifest(object)) return null
  const chunks = manifestOf(job.memory, object).reduce((sum, { count }) => sum + count, 0)
  return chunks > FREED_AT_ONCE_MAX ? null : { version: object.version, chunks }
}

/**
 * Frees the chunks of an ended version on this node, so that the next put reuses their memory. Freed at once,
 * or when the last reader ends its lease. `ChunkGc` frees chunks on other nodes, those whose readers went
 * silent, and all of them if the slot may have another owner by now.
 */
export function freeEnded(
  job: NodeJob,
  { slot, bucket, key }: Address & { readonly slot: Slot },
  ending: Ending,
  nowMs: number,
): void {
  const { version, chunks } = ending
  const slots = job.owned.count
  const hash = hashKey(key, bucket)
  if (job.slots[slotOf(hash, slots)] !== slot || !job.hasLease) return
  if (slot.readLeases.isHeld(version, nowMs)) return slot.readLeases.defer(ending)
  const groupKey = chunkGroupKey(bucket, keyString(key), version)
  for (let index = 0; index < chunks; index++) {
    const held = job.slots[slotOf(hashChunk(hash, version, index), slots)]
    if (held !== undefined) job.charge(-held.chunks.removeGroup(groupKey))
  }
}
