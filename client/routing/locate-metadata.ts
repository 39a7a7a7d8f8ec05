import type { PlacedNode } from '../../protocol/model/placement.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'

/** Nodes that are asked at once: one that has heard from the metadata server suffices. */
const ASKED_MAX = 4
/** A node that is not heard by then is not waited for: the caller tries the old address again meanwhile. */
const ASKED_MS = 1_000

/**
 * Asks nodes of the job where its metadata server is now. They keep their addresses when metadata changes its own, and hear from it every
 * second. Null if none names another address than `known`.
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
  return await Promise.race([Promise.any(asked).catch(() => null), sleep(clock, ASKED_MS).then(() => null)])
}
