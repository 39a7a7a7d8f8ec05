import { SWEEP_PAUSE_MS } from '../protocol/limits.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Background } from '../service/background.ts'
import { type JobSpace, leaseLapsed } from './job-space.ts'
import type { StorageNode } from './node.ts'
import { Pace, removeMatching } from './removal.ts'
import type { Slot } from './slot.ts'
import { isExpired, type StoredObject } from './stored-object.ts'
import { failWaits } from './waits.ts'

/**
 * Frees expired objects and forgets lapsed leases of versions; readers never see either. Where the node's own lease
 * has lapsed, whoever waits for a key is told to ask again: it may be put elsewhere by now.
 */
export async function sweep(node: StorageNode, clock: Clock, background: Background): Promise<void> {
  const now = clock.monotonicMs()
  node.sessions.sweep()
  node.listings.sweep()
  for (const job of node.jobs.values()) {
    for (const slot of job.slots) {
      if (slot === undefined) continue
      if (slot.waits !== null && !job.hasLease) failWaits(slot, leaseLapsed)
      slot.dropLapsed(now)
    }
  }
  for (const job of [...node.jobs.values()]) {
    await background.attempt(['sweep', job.id], async () => {
      await removeExpired(job, clock)
      await node.keeping.removeExpired(job)
    })
  }
}

/** A slot in which nothing is over yet is passed over; others are looked at in parts, with pauses. */
async function removeExpired(job: JobSpace, clock: Clock): Promise<void> {
  const pace = new Pace(clock, SWEEP_PAUSE_MS)
  for (const [index, slot] of job.slots.entries()) {
    if (slot === undefined || slot.objects.expiring === 0) continue
    const { objects } = slot
    if (objects.earliestExpiryMs > clock.wallMs()) continue
    objects.earliestExpiryMs = Number.POSITIVE_INFINITY
    // A slot that moves meanwhile takes what is over along, and its new owner looks for it.
    for (let from: number | null = 0; from !== null && job.slots[index] === slot; ) {
      const start: number = from
      from = job.track(slot, () =>
        removeMatching(slot, start, (object) => isOver(slot, object, clock.wallMs())),
      )
      const pause = pace.stepped()
      if (pause !== null) await pause
    }
  }
}

function isOver({ objects, kept }: Slot, object: StoredObject, wallMs: number): boolean {
  if (isExpired(object, wallMs)) {
    kept.expire(object)
    return true
  }
  if (object.expiresAtMs !== 0) objects.expectExpiry(object.expiresAtMs)
  return false
}
