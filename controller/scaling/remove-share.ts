import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Placement } from '../../protocol/model/placement.ts'
import { placedJob } from '../placement/shares.ts'
import { remainderOf } from '../records/job.ts'
import type { Reconciler, ReconcilerOptions } from './reconciler.ts'

type Options = Omit<ReconcilerOptions, 'jobs' | 'placer' | 'events' | 'log'> & {
  readonly reconciler: Reconciler
}

/**
 * Removes an empty node from a job, unless metadata still has slots on it: the report may be older than a move. Rejects if metadata does
 * not answer.
 */
export async function removeShare(
  { job: id, node }: { readonly job: string; readonly node: string },
  { ledger, nodes, metadata, tickets, reconciler, serial, clock }: Options,
): Promise<void> {
  await serial.run(id, async () => {
    const job = ledger.get(id)
    if (job?.state !== 'active') return
    const others = job.shares.filter((share) => share.node !== node && nodes.isAlive(share.node))
    if (!others.some((share) => nodes.isOpen(share.node) && remainderOf(share).ramBytes > 0)) return
    const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
    const before = await metadata.ask(job.metadata, deadlineMs, (client, at) => client.placement(at, id))
    if (ownsSlots(before, node)) return
    const placed = placedJob(job, others, nodes)
    const placement = await metadata.ask(job.metadata, deadlineMs, (client, at) =>
      client.shareJob(at, placed),
    )
    tickets.cachePlacement(id, placement)
    if (ownsSlots(placement, node)) return reconciler.reconcile(id)
    // Another drain may have added shares meanwhile, which the reconciler sends to metadata.
    const left = ledger.require(id).shares.filter((share) => share.node !== node)
    await ledger.change(id, { shares: left })
  })
}

function ownsSlots({ nodes, owners }: Placement, node: string): boolean {
  const index = nodes.findIndex(({ id }) => id === node)
  return index !== -1 && owners.includes(index)
}
