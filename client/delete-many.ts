import { DeleteResult, dataOperations } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { DELETE_MANY_MAX } from '../protocol/limits.ts'
import { NOBODY } from '../protocol/placement.ts'
import type { Bounds } from './bounds.ts'
import type { KeyAddress } from './large-object.ts'
import type { Router } from './router.ts'

/** Deletes keys, one message for each node; those whose slot has moved meanwhile are sent on. Gives how many there were. */
export async function deleteKeys(
  router: Router,
  keys: readonly KeyAddress[],
  bounds: Bounds,
): Promise<number> {
  const counts = await Promise.all(batchesOf(router, keys).map((batch) => deleteBatch(router, batch, bounds)))
  return counts.reduce((sum, count) => sum + count, 0)
}

async function deleteBatch(router: Router, batch: readonly KeyAddress[], bounds: Bounds): Promise<number> {
  const [first] = batch
  if (first === undefined) return 0
  const { hash, bucket } = first
  const results = await router.retry(bounds, router.slotOf(hash), async (caller, placement, owner) => {
    const { head } = await router.mutateAt({ caller, placement, owner }, dataOperations.deleteMany, {
      request: (sent) => ({ ...sent, bucket, keys: batch.map(({ key }) => key) }),
      ...bounds,
    })
    if (head.results.some((result) => result !== DeleteResult.stale)) return head.results
    throw new MayflyError('STALE_PLACEMENT', 'The node owns none of the slots')
  })
  const deleted = results.reduce((sum, result) => sum + (result === DeleteResult.deleted ? 1 : 0), 0)
  const stale = batch.filter((_, index) => results[index] === DeleteResult.stale)
  // Each is asked for alone now, so that the next message goes to the owner of that very slot.
  const counts = await Promise.all(stale.map((key) => deleteBatch(router, [key], bounds)))
  return counts.reduce((sum, count) => sum + count, deleted)
}

/** Keys of one owner together, as far as this client knows, up to the size of a message. */
function batchesOf(router: Router, keys: readonly KeyAddress[]): KeyAddress[][] {
  const open = new Map<number, KeyAddress[]>()
  const batches: KeyAddress[][] = []
  for (const key of keys) {
    const owner = router.placement.owners[router.slotOf(key.hash)] ?? NOBODY
    let batch = open.get(owner)
    if (batch === undefined || batch.length >= DELETE_MANY_MAX) {
      batch = []
      open.set(owner, batch)
      batches.push(batch)
    }
    batch.push(key)
  }
  return batches
}
