import { LIST_PAGE_MAX } from '../../protocol/limits.ts'
import { encodeKey } from '../../protocol/model/keys.ts'
import { NOBODY, type PlacedNode, type Placement } from '../../protocol/model/placement.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { bitmapOf } from '../../protocol/wire/bitmap.ts'
import type { ListOptions } from '../options.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { Router } from '../routing/router.ts'

export interface ListEntry {
  readonly key: string
  /** Of the object. */
  readonly bytes: number
}

interface Listing {
  readonly bucket: number
  readonly prefix: Buffer
  readonly acceptHoles: boolean
  /** Random number of the listing: it tells nodes which pages belong together. 0 if one page is enough. */
  readonly number: number
  /** Entries of a page. */
  readonly limit: number
}

/** Upper bound of listing numbers. */
const LISTINGS = 2 ** 48

const encoder = new TextEncoder()

interface Page {
  readonly complete: boolean
  readonly entries: readonly ListEntry[]
}

/** All keys of a bucket, page by page. `inBucket` runs the request of a page with the bucket's id. */
export async function* listKeys(
  router: Router,
  options: ListOptions,
  inBucket: (page: (bucket: number, bounds: Deadline) => Promise<Page>) => Promise<Page>,
): AsyncGenerator<ListEntry, void, undefined> {
  const prefix = options.prefix ? encodeKey(options.prefix) : Buffer.alloc(0)
  const acceptHoles = options.acceptHoles === true
  let left = options.limit ?? Number.POSITIVE_INFINITY
  const number = left <= LIST_PAGE_MAX ? 0 : 1 + Math.floor(router.runtime.random.fraction() * LISTINGS)
  let after = options.after ? encodeKey(options.after) : Buffer.alloc(0)
  for (let complete = false; !complete && left > 0; ) {
    const limit = Math.min(left, LIST_PAGE_MAX)
    const page = await inBucket((bucket, bounds) =>
      listPage(router, { bucket, prefix, acceptHoles, number, limit }, { after, bounds }),
    )
    // Each node has sent as many.
    yield* page.entries.length > left ? page.entries.slice(0, left) : page.entries
    left -= page.entries.length
    complete = page.complete
    after = Buffer.from(page.entries.at(-1)?.key ?? '')
  }
}

/**
 * One page of a job's keys above `after`, merged from all nodes in byte order. It ends where the first of the
 * nodes' answers ends, so that nothing is skipped; entries beyond are requested again.
 */
async function listPage(
  router: Router,
  listing: Listing,
  from: { after: Uint8Array; bounds: Deadline },
): Promise<Page> {
  const pages = await listSlots(router, { listing, ...from, slots: allSlots(router.placement) })
  const cut = pages
    .filter((page) => !page.complete)
    .map(({ entries }) => encoder.encode(entries.at(-1)?.key ?? ''))
    .reduce<Uint8Array | null>(
      (least, last) => (least === null || Buffer.compare(last, least) < 0 ? last : least),
      null,
    )
  const entries = pages
    .flatMap((page) => page.entries)
    .map((entry) => ({ entry, bytes: encoder.encode(entry.key) }))
    .filter(({ bytes }) => cut === null || Buffer.compare(bytes, cut) <= 0)
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
  return { complete: cut === null, entries: entries.map(({ entry }) => entry) }
}

interface SlotsRequest {
  readonly listing: Listing
  readonly after: Uint8Array
  readonly bounds: Deadline
  readonly slots: readonly number[]
}

/** One answer per owner of the slots; if a slot has moved meanwhile, its new owner's. */
async function listSlots(router: Router, request: SlotsRequest): Promise<Page[]> {
  const groups = groupByOwner(router.placement, request.slots)
  const pages = await Promise.all(groups.map((slots) => listGroup(router, { ...request, slots })))
  return pages.flat()
}

/** Slots that belong to one node by the current placement, or to none. */
async function listGroup(router: Router, request: SlotsRequest): Promise<Page[]> {
  const { listing, after, bounds, slots } = request
  const [first] = slots
  if (first === undefined) return []
  return await router.retry(bounds, first, async (caller, placement, owner) => {
    if (!slots.every((slot) => isOwner(placement, owner, slot))) return await listSlots(router, request)
    const { prefix, bucket, acceptHoles, number, limit } = listing
    const bitmap = bitmapOf(slots, placement.owners.length)
    const { head } = await caller.call(
      dataOperations.list,
      {
        epoch: placement.epoch,
        bucket,
        slots: bitmap,
        prefix,
        after,
        limit,
        acceptHoles,
        listing: number,
      },
      bounds,
    )
    return [head]
  })
}

function isOwner(placement: Placement, node: PlacedNode, slot: number): boolean {
  return placement.nodes[placement.owners[slot] ?? NOBODY]?.id === node.id
}

function groupByOwner({ owners }: Placement, slots: readonly number[]): number[][] {
  const groups = new Map<number, number[]>()
  for (const slot of slots) {
    const owner = owners[slot] ?? NOBODY
    const group = groups.get(owner)
    if (group === undefined) groups.set(owner, [slot])
    else group.push(slot)
  }
  return [...groups.values()]
}

function allSlots({ owners }: Placement): number[] {
  return Array.from(owners, (_, slot) => slot)
}
