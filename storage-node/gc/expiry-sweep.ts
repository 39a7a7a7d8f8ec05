import type { Clock } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { NodeJob } from '../job/job.ts'
import { leaseLapsed } from '../job/lease.ts'
import { SWEEP_PAUSE_MS } from '../limits.ts'
import type { Listings } from '../operations/listing.ts'
import type { Persistence } from '../persist/persistence.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Slot } from '../slot/slot.ts'
import { isExpired, type StoredObject } from '../slot/stored-object.ts'
import { removeMatching, SweepPauses } from '../slot/sweep-scan.ts'
import { failWaits } from '../slot/waits.ts'

/** The parts of a node that hold leases and expiring objects. */
export interface SweptNode {
  readonly jobs: ReadonlyMap<string, NodeJob>
  readonly sessions: Sessions
  readonly listings: Listings
  readonly persistence: Persistence
}

/**
 * Drops lapsed leases of versions, in one step. If the node's own lease has lapsed, parked gets fail: the key
 * may be put elsewhere by now.
 */
export function sweepLeases(node: SweptNode, clock: Clock): void {
  const now = clock.monotonicMs()
  node.sessions.sweep()
  node.listings.sweep()
  for (const job of node.jobs.values()) {
    for (const slot of job.slots) {
      if (slot === undefined) continue
      if (slot.waits !== null && !job.hasLease) failWaits(slot, job.waitSteps, leaseLapsed)
      slot.dropLapsed(now)
    }
  }
}

/** Frees expired objects, which readers no longer see. */
export async function sweepExpired(node: SweptNode, clock: Clock, background: Background): Promise<void> {
  for (const job of [...node.jobs.values()])
    await background.attempt(['sweep', job.id], () => removeExpired(job, clock))
}

/** Frees persisted objects that have expired. Jobs run concurrently, because the store may be slow. */
export async function sweepPersisted(node: SweptNode, background: Background): Promise<void> {
  await Promise.all(
    [...node.jobs.values()].map((job) =>
      background.attempt(['sweepPersisted', job.id], () => node.persistence.removeStale(job)),
    ),
  )
}

/** Skips slots in which nothing has expired yet; scans others in steps, with pauses. */
async function removeExpired(job: NodeJob, clock: Clock): Promise<void> {
  const pace = new SweepPauses(clock, SWEEP_PAUSE_MS)
  for (const [index, slot] of job.slots.entries()) {
    if (slot === undefined || slot.objects.expiring === 0) continue
    const { objects } = slot
    if (objects.earliestExpiryMs > clock.wallMs()) continue
    objects.earliestExpiryMs = Number.POSITIVE_INFINITY
    // A slot that moves takes its expired objects along; the new owner sweeps them.
    for (let from: number | null = 0; from !== null && job.slots[index] === slot; ) {
      const start: number = from
      from = job.track(slot, () =>
        removeMatching(slot, start, (object) => hasExpired(slot, object, clock.wallMs())),
      )
      const pause = pace.stepped()
      if (pause !== null) await pause
    }
  }
}

function hasExpired({ objects, persisted }: Slot, object: StoredObject, wallMs: number): boolean {
  if (isExpired(object, wallMs)) {
    persisted.markExpired(object)
    return true
  }
  if (object.expiresAtMs !== 0) objects.noteExpiry(object.expiresAtMs)
  return false
}
