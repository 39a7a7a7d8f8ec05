import type { nodeOperations } from '../protocol/control-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { BUCKETS_MAX, CHUNK_BYTES, EPOCH_MAX } from '../protocol/limits.ts'
import type { RequestOf } from '../protocol/operation.ts'
import { NOBODY, type PlacedNode } from '../protocol/placement.ts'
import { type JobRecord, type Share, slotRuns } from './job-record.ts'
import { spreadSlots } from './spread.ts'

/**
 * What metadata decides about one job: record in, record out. Nothing here waits, writes or sends.
 */

/** New shares: slots that nobody owns go to their nodes. The epoch rises if one did. */
export function withShares(record: JobRecord, shares: readonly Share[]): JobRecord {
  const takers = shares.filter((share) => share.weight > 0)
  if (takers.length === 0 || !record.owners.includes(NOBODY)) return { ...record, shares }
  const nodes: PlacedNode[] = [...record.nodes]
  for (const { node, address } of takers) {
    if (!nodes.some(({ id }) => id === node)) nodes.push({ id: node, address })
  }
  const weights = nodes.map(({ id }) => takers.find(({ node }) => node === id)?.weight ?? 0)
  const owners = spreadSlots(record.owners, weights)
  const epoch = nextEpoch(record)
  const epochs = record.epochs.map((before, slot) => (owners[slot] === record.owners[slot] ? before : epoch))
  return { ...record, epoch, shares, nodes, owners, epochs }
}

/**
 * The nodes died: their slots are marked lost and go to the nodes that are left, or to nobody until the controller
 * names new ones. Returns the same record if none of the nodes had a part in the job.
 */
export function withoutNodes(record: JobRecord, dead: ReadonlySet<string>): JobRecord {
  const shares = record.shares.filter(({ node }) => !dead.has(node))
  if (!record.nodes.some(({ id }) => dead.has(id))) {
    return shares.length === record.shares.length ? record : { ...record, shares }
  }
  const nodes = record.nodes.filter(({ id }) => !dead.has(id))
  const indexOf = record.nodes.map(({ id }) =>
    dead.has(id) ? NOBODY : nodes.findIndex((node) => node.id === id),
  )
  const owners = record.owners.map((owner) => indexOf[owner] ?? NOBODY)
  const lost = record.lost.map((before, slot) =>
    owners[slot] === NOBODY && record.owners[slot] !== NOBODY ? 1 : before,
  )
  return withShares({ ...record, epoch: nextEpoch(record), nodes, owners, lost }, shares)
}

/** Throws `BUCKET_EXISTS`, or `BAD_REQUEST` where the job has used up its bucket ids. */
export function withBucket(record: JobRecord, name: string): JobRecord {
  if (record.buckets.some((bucket) => bucket.name === name)) {
    throw new MayflyError('BUCKET_EXISTS', `The job has a bucket '${name}' already`)
  }
  if (record.nextBucket > BUCKETS_MAX) {
    throw new MayflyError('BAD_REQUEST', `The job has created ${BUCKETS_MAX} buckets, which is the limit`)
  }
  const buckets = [...record.buckets, { id: record.nextBucket, name }]
  return { ...record, nextBucket: record.nextBucket + 1, buckets }
}

/** Throws `BUCKET_NOT_FOUND`. */
export function withoutBucket(record: JobRecord, name: string): JobRecord {
  const { id } = findBucket(record, name)
  return {
    ...record,
    buckets: record.buckets.filter((bucket) => bucket.id !== id),
    droppedBuckets: [...record.droppedBuckets, id],
  }
}

/** Throws `BUCKET_NOT_FOUND`. */
export function findBucket(record: JobRecord, name: string): { id: number } {
  const bucket = record.buckets.find((candidate) => candidate.name === name)
  if (bucket === undefined) throw new MayflyError('BUCKET_NOT_FOUND', `The job has no bucket '${name}'`)
  return bucket
}

/** What one node is told of the job: everything that it owns, so that one message mends whatever was missed. */
export function ownMessage(
  record: JobRecord,
  to: { node: string; metadata: string; generation: number },
): RequestOf<typeof nodeOperations.own> {
  const index = record.nodes.findIndex(({ id }) => id === to.node)
  const owned = []
  let first = 0
  for (const { count, owner, epoch, lost } of slotRuns(record)) {
    if (owner === index) owned.push({ first, count, epoch, lost })
    first += count
  }
  return {
    job: record.id,
    generation: to.generation,
    metadata: to.metadata,
    slots: record.owners.length,
    ...budgetOf(record, to.node),
    droppedBuckets: record.droppedBuckets,
    owned,
  }
}

/** A hash spreads unevenly: a node of several may go this far over its share, where nobody reserved the room. */
const SHARE_SLACK = 0.25

/** A job alone on its node gets exactly its total; one chunk of slack keeps a small share usable at all. */
function budgetOf({ shares }: JobRecord, node: string): { ramBytes: number; ramBytesMax: number } {
  const ramBytes = shares.find((share) => share.node === node)?.ramBytes ?? 0
  const totalBytes = shares.reduce((sum, share) => sum + share.ramBytes, 0)
  return {
    ramBytes,
    ramBytesMax: Math.min(totalBytes, Math.ceil(ramBytes * (1 + SHARE_SLACK)) + CHUNK_BYTES),
  }
}

function nextEpoch({ id, epoch }: JobRecord): number {
  if (epoch >= EPOCH_MAX) {
    throw new MayflyError(
      'UNAVAILABLE',
      `Job ${id} has changed its placement ${EPOCH_MAX} times, which is the limit`,
    )
  }
  return epoch + 1
}
