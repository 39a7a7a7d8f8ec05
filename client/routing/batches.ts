import { NOBODY } from '../../protocol/model/placement.ts'
import type { Router } from './router.ts'

/** Bounds of one message. */
interface BatchLimits<Item> {
  readonly itemsMax: number
  readonly bytesMax: number
  bytesOf(item: Item): number
}

/** Groups items by owner, by the current placement, up to the size of a message; keeps their order. */
export function batchesOf<Item extends { readonly hash: number }>(
  router: Router,
  items: readonly Item[],
  limits: BatchLimits<Item>,
): Item[][] {
  const { itemsMax, bytesMax } = limits
  const open = new Map<number, { batch: Item[]; bytes: number }>()
  const batches: Item[][] = []
  const { owners } = router.placement
  for (const item of items) {
    const owner = owners[router.slotOf(item.hash)] ?? NOBODY
    const bytes = limits.bytesOf(item)
    let last = open.get(owner)
    if (last === undefined || last.batch.length >= itemsMax || last.bytes + bytes > bytesMax) {
      last = { batch: [], bytes: 0 }
      open.set(owner, last)
      batches.push(last.batch)
    }
    last.batch.push(item)
    last.bytes += bytes
  }
  return batches
}
