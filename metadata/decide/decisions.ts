import { MayflyError } from '../../protocol/errors.ts'
import {
  BUCKET_ID_MAX,
  BUCKET_REQUESTS_RETAINED_MAX,
  BUCKETS_MAX,
  CHUNK_BYTES,
  EPOCH_MAX,
  REQUEST_ID_BYTES,
} from '../../protocol/limits.ts'
import type { PlacedNode, PlacedShare } from '../../protocol/model/placement.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import { type nodeOperations, SlotOrigin } from '../../protocol/operations/plane-operations.ts'
import { type BucketRequest, type JobRecord, slotRuns } from './job-record.ts'
import { SlotTable } from './slot-table.ts'
import { apportion, divide } from './spread.ts'

/** Decisions about one job: pure functions from a job record to a job record. No I/O. */

/** Sets new shares and assigns slots without an owner to their nodes. */
export function withShares(record: JobRecord, shares: readonly PlacedShare[]): JobRecord {
  return fillSlots({ ...record, shares })
}

/** Assigns each slot without an owner to a node of the shares. If no node accepts slots, the record is unchanged. */
export function fillSlots(record: JobRecord): JobRecord {
  const takers = takersOf(record)
  const table = new SlotTable(record)
  const free: number[] = []
  for (let slot = 0; slot < table.owners.length; slot++) if (table.owners[slot] === null) free.push(slot)
  if (takers.length === 0 || free.length === 0) return record
  const epoch = nextEpoch(record)
  const parts = divide(free.length, {
    owned: slotsOwned(takers, table.owners),
    due: slotsDue(record, takers),
  })
  let next = 0
  parts.forEach((part, index) => {
    const owner = takers[index] as PlacedNode
    const to = { owner, epoch, origin: SlotOrigin.fresh }
    for (const until = next + part; next < until; next++) table.give(free[next] as number, to)
  })
  // All assigned slots share one epoch. Each node that was assigned some takes one further epoch, used when clients are shown it.
  return { ...table.write(), epoch: epoch + parts.filter((part) => part > 0).length }
}

/** The nodes that may own slots. */
export function takersOf({ shares }: JobRecord): PlacedNode[] {
  return shares.filter(({ weight }) => weight > 0).map(({ node, address }) => ({ id: node, address }))
}

/** The number of slots that each node should own, by weight. */
export function slotsDue({ shares, owners }: JobRecord, nodes: readonly PlacedNode[]): number[] {
  const weights = nodes.map(({ id }) => shares.find(({ node }) => node === id)?.weight ?? 0)
  return apportion(owners.length, weights)
}

/** The number of slots that each node owns. */
export function slotsOwned(nodes: readonly PlacedNode[], owners: readonly (PlacedNode | null)[]): number[] {
  const counts = new Map<string, number>()
  let since = 0
  for (let slot = 1; slot <= owners.length; slot++) {
    const owner = owners[since]
    if (slot < owners.length && owners[slot] === owner) continue
    if (owner) counts.set(owner.id, (counts.get(owner.id) ?? 0) + slot - since)
    since = slot
  }
  return nodes.map(({ id }) => counts.get(id) ?? 0)
}

/** The bucket of a creation or deletion that was already carried out; null for a new request. */
export function bucketOf({ bucketRequests }: JobRecord, request: Uint8Array): number | null {
  return bucketRequests.find((known) => Buffer.compare(known.request, request) === 0)?.bucket ?? null
}

/**
 * Adds a bucket. A repeated request returns the same record. Throws `BUCKET_EXISTS`, or `BAD_REQUEST` if the job has `BUCKETS_MAX` buckets.
 */
export function withBucket(record: JobRecord, name: string, request: Uint8Array): JobRecord {
  checkRequest(request)
  if (bucketOf(record, request) !== null) return record
  if (record.buckets.some((bucket) => bucket.name === name)) {
    throw new MayflyError('BUCKET_EXISTS', `The job has a bucket '${name}' already`)
  }
  if (record.buckets.length >= BUCKETS_MAX || record.nextBucket >= BUCKET_ID_MAX) {
    const what = `The job has ${record.buckets.length} buckets, which is the limit; delete one that is not needed`
    throw new MayflyError('BAD_REQUEST', what)
  }
  const id = record.nextBucket
  const buckets = [...record.buckets, { id, name }]
  return { ...withRequest(record, { request, bucket: id }), nextBucket: id + 1, buckets }
}

/** Removes a bucket. A repeated request returns the same record. Throws `BUCKET_NOT_FOUND`. */
export function withoutBucket(record: JobRecord, name: string, request: Uint8Array): JobRecord {
  checkRequest(request)
  if (bucketOf(record, request) !== null) return record
  const { id } = findBucket(record, name)
  return {
    ...withRequest(record, { request, bucket: id }),
    buckets: record.buckets.filter((bucket) => bucket.id !== id),
  }
}

/** The job's buckets as runs of ids, for its nodes. Ids rise in order of creation, so the list is sorted. */
export function livingBuckets({ nextBucket: next, buckets }: JobRecord) {
  const living: { first: number; count: number }[] = []
  for (const { id } of buckets) {
    const last = living.at(-1)
    if (last !== undefined && last.first + last.count === id) last.count++
    else living.push({ first: id, count: 1 })
  }
  return { next, living }
}

/** Throws `BUCKET_NOT_FOUND`. */
export function findBucket(record: JobRecord, name: string): { id: number } {
  const bucket = record.buckets.find((candidate) => candidate.name === name)
  if (bucket === undefined) throw new MayflyError('BUCKET_NOT_FOUND', `The job has no bucket '${name}'`)
  return bucket
}

function checkRequest({ length }: Uint8Array): void {
  if (length !== REQUEST_ID_BYTES)
    throw new MayflyError('BAD_REQUEST', `request: it has ${length} bytes, not ${REQUEST_ID_BYTES}`)
}

function withRequest(record: JobRecord, { request, bucket }: BucketRequest): JobRecord {
  const before = record.bucketRequests.slice(-(BUCKET_REQUESTS_RETAINED_MAX - 1))
  return { ...record, bucketRequests: [...before, { request: Buffer.from(request), bucket }] }
}

/** The ownership message for one node. It holds every slot that the node owns, so one message repairs any that were missed. */
export function ownershipMessage(
  record: JobRecord,
  to: { node: string; metadata: string; generation: number },
): RequestOf<typeof nodeOperations.own> {
  const index = record.nodes.findIndex(({ id }) => id === to.node)
  const sources = new Map(
    record.moves.flatMap(({ epoch, published, source }) => (published ? [[epoch, source.address]] : [])),
  )
  const owned = slotRuns(record)
    .filter(({ owner }) => owner === index)
    .map(({ owner: _, mayHaveLost: lost, ...run }) => ({
      ...run,
      lost,
      source: sources.get(run.epoch) ?? '',
    }))
  return {
    job: record.id,
    metadata: to.metadata,
    generation: to.generation,
    term: record.term,
    revision: record.revision,
    slots: record.owners.length,
    ...budgetOf(record, to.node),
    readsPerThousand: record.readsPerThousand,
    buckets: livingBuckets(record),
    owned,
  }
}

/** Allowance for uneven hashing: a node of several may exceed its share by this fraction, while no one else has reserved the room. */
const SHARE_SLACK = 0.25

/** The sole node of a job gets exactly the total. One chunk of slack keeps a small share usable. */
function budgetOf({ shares }: JobRecord, node: string) {
  const own = shares.find((share) => share.node === node)
  const { ramBytes = 0, ssdBytes = 0, s3Bytes = 0, bytesPerSecond = 0 } = own ?? {}
  return {
    ramBytes,
    ssdBytes,
    s3Bytes,
    bytesPerSecond,
    ramBytesMax: bytesMax(shares, own, 'ramBytes'),
    ssdBytesMax: bytesMax(shares, own, 'ssdBytes'),
    s3BytesMax: bytesMax(shares, own, 's3Bytes'),
  }
}

function bytesMax(
  shares: readonly PlacedShare[],
  own: PlacedShare | undefined,
  tier: 'ramBytes' | 'ssdBytes' | 's3Bytes',
): number {
  const total = shares.reduce((sum, share) => sum + share[tier], 0)
  return Math.min(total, Math.ceil((own?.[tier] ?? 0) * (1 + SHARE_SLACK)) + CHUNK_BYTES)
}

export function nextEpoch({ id, epoch }: JobRecord): number {
  if (epoch >= EPOCH_MAX) {
    throw new MayflyError(
      'UNAVAILABLE',
      `Job ${id} has changed its placement ${EPOCH_MAX} times, which is the limit`,
    )
  }
  return epoch + 1
}
