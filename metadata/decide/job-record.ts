import { DEFAULT_BUCKET, DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import {
  NOBODY,
  type PlacedNode,
  type PlacedShare,
  placedNode,
  placedShare,
} from '../../protocol/model/placement.ts'
import {
  array,
  bytes,
  encode,
  flag,
  optional,
  struct,
  text,
  u8,
  u16,
  u32,
} from '../../protocol/wire/codec.ts'
import { Reader } from '../../protocol/wire/reader.ts'

/** A move of slots from one node to another. A slot is in one move at a time. */
export interface Move {
  /** The epoch of the slots once the target owns them. It identifies the move. */
  readonly epoch: number
  readonly source: PlacedNode
  readonly target: PlacedNode
  readonly slots: readonly number[]
  /** False: the source is the owner. True: the target is the owner and pulls the remaining bytes from the source. */
  readonly published: boolean
}

/** Slots of a finished handoff that a node still has to free. */
export interface Leftover {
  readonly node: PlacedNode
  readonly epoch: number
  readonly slots: readonly number[]
}

/** A job's transfer to another metadata server; see `departure.ts`. */
export interface Departure {
  readonly server: PlacedNode
  /** True once this server no longer decides about the job. */
  readonly transferring: boolean
}

/** A job that another metadata server has decided about since `term`. */
export interface MovedJob {
  readonly id: string
  readonly term: number
  readonly address: string
}

/** The whole state of a job. It is written as one record before any change is announced. */
export interface JobRecord {
  readonly id: string
  /** Number of transfers of the job between metadata servers. */
  readonly term: number
  readonly departure: Departure | null
  /** Rises with every write; a node ignores an ownership message with an older revision. */
  readonly revision: number
  /** The last assigned epoch. Every decision about slots takes the next one. */
  readonly epoch: number
  readonly shares: readonly PlacedShare[]
  /** Expected reads per thousand objects, for the nodes of the job; null if unknown. */
  readonly readsPerThousand: number | null
  /** The nodes that own slots. */
  readonly nodes: readonly PlacedNode[]
  /** For each slot an index into `nodes`, or `NOBODY`. */
  readonly owners: Uint16Array
  /** For each slot, the epoch in which its owner was assigned. */
  readonly epochs: Uint32Array
  /** For each slot, 1 if an owner of it has died, else 0. */
  readonly mayHaveLost: Uint8Array
  /** For each slot, how its owner got it: a `SlotOrigin`. */
  readonly origins: Uint8Array
  readonly moves: readonly Move[]
  readonly leftovers: readonly Leftover[]
  readonly nextBucket: number
  readonly buckets: readonly Bucket[]
  /** The last bucket creations and deletions, oldest first, to recognise repeated requests. */
  readonly bucketRequests: readonly BucketRequest[]
}

/** A client's bucket request and the bucket that resulted from it. */
export interface BucketRequest {
  readonly request: Uint8Array
  readonly bucket: number
}

export interface Bucket {
  readonly id: number
  readonly name: string
}

/** Adjacent slots with equal properties. */
export interface SlotRun {
  readonly first: number
  readonly count: number
  readonly owner: number
  readonly epoch: number
  readonly mayHaveLost: boolean
  readonly origin: number
}

const wireRecord = struct({
  id: text,
  term: u32,
  departure: optional(struct({ server: placedNode, transferring: flag })),
  revision: u32,
  epoch: u32,
  shares: array(placedShare),
  readsPerThousand: optional(u32),
  nodes: array(placedNode),
  slots: array(struct({ first: u16, count: u16, owner: u16, epoch: u32, mayHaveLost: flag, origin: u8 })),
  moves: array(
    struct({ epoch: u32, source: placedNode, target: placedNode, slots: array(u16), published: flag }),
  ),
  leftovers: array(struct({ node: placedNode, epoch: u32, slots: array(u16) })),
  nextBucket: u32,
  buckets: array(struct({ id: u32, name: text })),
  /** Written empty. Earlier formats listed the ids of deleted buckets here, which are derived from `nextBucket` and `buckets` now. */
  deletedBuckets: array(u32),
  bucketRequests: array(struct({ request: bytes, bucket: u32 })),
})

/** Every node that holds something of the job. */
export function nodesOf({ nodes, moves, leftovers }: JobRecord): PlacedNode[] {
  const all = [
    ...nodes,
    ...moves.flatMap(({ source, target }) => [source, target]),
    ...leftovers.map(({ node }) => node),
  ]
  return [...new Map(all.map((node) => [node.id, node])).values()]
}

/** A job without owners, at epoch 0. */
export function newRecord(id: string, slots: number): JobRecord {
  return {
    id,
    term: 0,
    departure: null,
    revision: 0,
    epoch: 0,
    shares: [],
    readsPerThousand: null,
    nodes: [],
    owners: new Uint16Array(slots).fill(NOBODY),
    epochs: new Uint32Array(slots),
    mayHaveLost: new Uint8Array(slots),
    origins: new Uint8Array(slots),
    moves: [],
    leftovers: [],
    nextBucket: DEFAULT_BUCKET_ID + 1,
    buckets: [{ id: DEFAULT_BUCKET_ID, name: DEFAULT_BUCKET }],
    bucketRequests: [],
  }
}

export function encodeRecord(record: JobRecord): Buffer {
  return encode(wireRecord, { ...record, deletedBuckets: [], slots: slotRuns(record) })
}

export function decodeRecord(encoded: Buffer): JobRecord {
  const reader = new Reader(encoded)
  const { slots: runs, deletedBuckets: _, ...rest } = wireRecord.read(reader)
  reader.finish()
  const slots = runs.reduce((sum, run) => sum + run.count, 0)
  const record = {
    ...rest,
    // Decoded bytes are views of the whole record; they are copied.
    bucketRequests: rest.bucketRequests.map(({ request, bucket }) => ({
      request: Buffer.from(request),
      bucket,
    })),
    owners: new Uint16Array(slots),
    epochs: new Uint32Array(slots),
    mayHaveLost: new Uint8Array(slots),
    origins: new Uint8Array(slots),
  }
  for (const { first, count, owner, epoch, mayHaveLost, origin } of runs) {
    record.owners.fill(owner, first, first + count)
    record.epochs.fill(epoch, first, first + count)
    record.mayHaveLost.fill(mayHaveLost ? 1 : 0, first, first + count)
    record.origins.fill(origin, first, first + count)
  }
  return record
}

/** The record's slots as runs, in order. */
export function slotRuns(record: SlotFates): SlotRun[] {
  const runs: SlotRun[] = []
  for (let first = 0; first < record.owners.length; ) {
    let end = first + 1
    while (end < record.owners.length && isSame(record, first, end)) end++
    runs.push({ first, count: end - first, ...slotAt(record, first) })
    first = end
  }
  return runs
}

type SlotFates = Pick<JobRecord, 'owners' | 'epochs' | 'mayHaveLost' | 'origins'>

function slotAt(
  { owners, epochs, mayHaveLost, origins }: SlotFates,
  slot: number,
): Omit<SlotRun, 'first' | 'count'> {
  return {
    owner: owners[slot] as number,
    epoch: epochs[slot] as number,
    mayHaveLost: mayHaveLost[slot] === 1,
    origin: origins[slot] as number,
  }
}

function isSame({ owners, epochs, mayHaveLost, origins }: SlotFates, a: number, b: number): boolean {
  return (
    owners[a] === owners[b] &&
    epochs[a] === epochs[b] &&
    mayHaveLost[a] === mayHaveLost[b] &&
    origins[a] === origins[b]
  )
}
