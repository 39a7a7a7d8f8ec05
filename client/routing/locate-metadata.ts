import type { PlacedNode } from '../../protocol/model/placement.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import { type Clock, within } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'

/** Number of nodes asked concurrently; one that knows the new address suffices. */
const ASKED_MAX = 4
/** Deadline of the nodes' answers; then the caller tries the old address again. */
const ASKED_MS = 1_000

/**
 * Asks nodes of the job for the current address of its metadata server. Node addresses do not change with that of metadata, and nodes exchange
 * heartbeats with it every second. Null if no node names an address other than `known`.
 */
export async function locateMetadata(
  of: { readonly job: string; readonly nodes: readonly PlacedNode[]; readonly known: string },
  { pool, clock }: { readonly pool: CallerPool; readonly clock: Clock },
): Promise<string | null> {
  const { job, nodes, known } = of
  const deadlineMs = clock.monotonicMs() + ASKED_MS
  const asked = nodes.slice(0, ASKED_MAX).map(async ({ address }) => {
    const caller = await pool.to(address)
    const { metadata } = (await caller.call(metadataOperations.jobServer, { job }, { deadlineMs })).head
    if (metadata === known) throw new Error('it names the same address')
    return metadata
  })
  return await within(
    clock,
    ASKED_MS,
    Promise.any(asked).catch(() => null),
  )
}
