import type { Clock } from '../protocol/runtime.ts'
import { type JobSpace, leaseLapsed } from './job-space.ts'
import { dropLapsed } from './large-objects.ts'
import type { StorageNode } from './node.ts'
import { isExpired, type ObjectTable } from './object-table.ts'
import type { Slot } from './slot.ts'
import { failWaits } from './waits.ts'

/**
 * Frees expired objects and forgets lapsed leases of versions; readers never see either. Where the node's own lease
 * has lapsed, whoever waits for a key is told to ask again: it may be put elsewhere by now.
 */
export function sweep(node: StorageNode, clock: Clock): void {
  const now = clock.monotonicMs()
  const wallMs = clock.wallMs()
  node.sessions.sweep()
  for (const job of node.jobs.values()) {
    for (const slot of job.slots) {
      if (slot === undefined) continue
      if (slot.waits.size > 0 && !job.hasLease) failWaits(slot, leaseLapsed())
      dropLapsed(slot.openPuts, now)
      dropLapsed(slot.readLeases, now)
      if (slot.expiring > 0) removeExpired({ table: node.table, job, slot }, wallMs)
    }
  }
}

function removeExpired(at: { table: ObjectTable; job: JobSpace; slot: Slot }, wallMs: number): void {
  for (const [bucket, keys] of at.slot.objects) {
    for (const [key, object] of keys) {
      if (isExpired(object, wallMs)) at.table.remove(at.job, { slot: at.slot, bucket, key }, object)
    }
  }
}
