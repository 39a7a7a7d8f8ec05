import { MayflyError } from '../../protocol/errors.ts'
import { MANY_KEYS_MAX } from '../../protocol/limits.ts'
import { NOBODY } from '../../protocol/model/placement.ts'
import type { Answer } from '../../protocol/transport/call.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import type { Deadline } from './deadline.ts'
import type { KeyAddress } from './key-address.ts'
import type { Router } from './router.ts'

/** Bounds of one message. */
interface BatchLimits<Item> {
  readonly itemsMax: number
  readonly bytesMax: number
  bytesOf(item: Item): number
}

/** Messages that have a key for each item, and nothing else that grows. */
const keyLimits: BatchLimits<unknown> = {
  itemsMax: MANY_KEYS_MAX,
  bytesMax: Number.POSITIVE_INFINITY,
  bytesOf: () => 0,
}

/** Groups items by owner, by the current placement, up to the size of a message; keeps their order. */
export function batchesOf<Item extends { readonly hash: number }>(
  router: Router,
  items: readonly Item[],
  limits: BatchLimits<NoInfer<Item>> = keyLimits,
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

/** One of many keys, with its index in the result. */
export interface IndexedKey extends KeyAddress {
  readonly index: number
}

export function indexed(keys: readonly KeyAddress[]): IndexedKey[] {
  return keys.map(({ bucket, key, hash }, index) => ({ bucket, key, hash, index }))
}

/** A question about a batch of keys. */
interface Question<Head> {
  readonly bounds: Deadline
  readonly call: (
    caller: Caller,
    asked: { readonly epoch: number; readonly bucket: number; readonly keys: readonly Buffer[] },
  ) => Promise<Answer<Head>>
  /** Of an answer, an element per key. */
  readonly resultsOf: (head: Head) => ArrayLike<number>
  /** The result of a key whose slot the node does not own. */
  readonly stale: number
}

/** Asks the owner of the first key about all keys of a batch, which is not empty. Some of the results may be stale. */
export async function askOwner<Head>(
  router: Router,
  batch: readonly KeyAddress[],
  { bounds, call, resultsOf, stale }: Question<Head>,
): Promise<Answer<Head>> {
  const { hash, bucket } = batch[0] as KeyAddress
  const keys = batch.map(({ key }) => key)
  return await router.retry(bounds, router.slotOf(hash), async (caller, { epoch }) => {
    const answer = await call(caller, { epoch, bucket, keys })
    const results = resultsOf(answer.head)
    if (results.length !== batch.length)
      throw new MayflyError('PROTOCOL_VIOLATION', 'An answer to many keys is not as long as the question')
    for (let at = 0; at < results.length; at++) if (results[at] !== stale) return answer
    throw new MayflyError('STALE_PLACEMENT', 'The node owns none of the slots')
  })
}
