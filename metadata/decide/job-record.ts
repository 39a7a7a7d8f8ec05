import { DEFAULT_BUCKET, DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import {
  NOBODY,
  type PlacedNode,
  type PlacedShare,
  placedNode,
  placedShare,
} from '../../protocol/model/placement.ts'
import { array, bytes, flag, optional, struct, text, u8, u16, u32 } from '../../protocol/wire/codec.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { Writer } from '../../protocol/wire/writer.ts'

/** Slots on their way from one node to another. They do not move again before the move is over. */
export interface Move {
  /** The epoch of these slots once the target owns them; names the move. */
  readonly epoch: number
  readonly source: PlacedNode
  readonly target: PlacedNode
  readonly slots: readonly number[]
  /** False: the source still counts as their owner. True: the target does, and pulls what is left on the source. */
  readonly published: boolean
}

/** What a node holds of a handoff that is over, one way or another, and has to free. */
export interface Leftover {
  readonly node: PlacedNode
  readonly epoch: number
  readonly slots: readonly number[]
}

/** A job on its way to another metadata server; see `departure.ts`. */
export interface Leaving {
  readonly server: PlacedNode
  /** Nothing is decided here any more. */
  readonly handing: boolean
}

/** A job that another metadata server decides for since `term`. */
export interface MovedJob {
  readonly id: string
  readonly term: number
  readonly address: string
}

/** All that metadata knows of a job: written down in one piece before anyone hears of a change. */
export interface JobRecord {
  readonly id: string
  /** How often the job was handed from one metadata server to another. */
  readonly term: number
  readonly leaving: Leaving | null
  /** Rises with every write, so that a node can tell an older budget from a newer one. */
  readonly revision: number
  /** The last epoch that was given out. Every decision about slots takes the next one. */
  readonly epoch: number
  readonly shares: readonly PlacedShare[]
  /** As its nodes are told it. */
  readonly readsPerThousand: number | null
  /** The nodes that own slots. */
  readonly nodes: readonly PlacedNode[]
  /** For each slot an index into `nodes`, or `NOBODY`. */
  readonly owners: Uint16Array
  /** For each slot the epoch at which its owner became that. */
  readonly epochs: Uint32Array
  /** For each slot 1 if an owner of it has died, else 0. */
  readonly lost: Uint8Array
  /** For each slot how its owner came to it, one of `SlotOrigin`. */
  readonly origins: Uint8Array
  readonly moves: readonly Move[]
  readonly leftovers: readonly Leftover[]
  readonly nextBucket: number
  readonly buckets: readonly Bucket[]
  /** The last creations and deletions of buckets, oldest first, for those who repeat one. */
  readonly bucketRequests: readonly BucketRequest[]
}

/** What a client asked for once, however often it sent it, and the bucket that came of it. */
export interface BucketRequest {
  readonly request: Uint8Array
  readonly bucket: number
}

export interface Bucket {
  readonly id: number
  readonly name: string
}

/** Neighbouring slots that are alike in everything. */
export interface SlotRun {
  readonly first: number
  readonly count: number
  readonly owner: number
  readonly epoch: number
  readonly lost: boolean
  readonly origin: number
}

const wireRecord = struct({
  id: text,
  term: u32,
  leaving: optional(struct({ server: placedNode, handing: flag })),
  revision: u32,
  epoch: u32,
  shares: array(placedShare),
  readsPerThousand: optional(u32),
  nodes: array(placedNode),
  slots: array(struct({ first: u16, count: u16, owner: u16, epoch: u32, lost: flag, origin: u8 })),
  moves: array(
    struct({ epoch: u32, source: placedNode, target: placedNode, slots: array(u16), published: flag }),
  ),
  leftovers: array(struct({ node: placedNode, epoch: u32, slots: array(u16) })),
  nextBucket: u32,
  buckets: array(struct({ id: u32, name: text })),
  /** Written empty: earlier records have the ids of deleted buckets here, which are those below `nextBucket` that do not live. */
  deletedBuckets: array(u32),
  bucketRequests: array(struct({ request: bytes, bucket: u32 })),
})

/** A job that nobody owns yet, at epoch 0. */
export function newRecord(id: string, slots: number): JobRecord {
  return {
    id,
    term: 0,
    leaving: null,
    revision: 0,
    epoch: 0,
    shares: [],
    readsPerThousand: null,
    nodes: [],
    owners: new Uint16Array(slots).fill(NOBODY),
    epochs: new Uint32Array(slots),
    lost: new Uint8Array(slots),
    origins: new Uint8Array(slots),
    moves: [],
    leftovers: [],
    nextBucket: DEFAULT_BUCKET_ID + 1,
    buckets: [{ id: DEFAULT_BUCKET_ID, name: DEFAULT_BUCKET }],
    bucketRequests: [],
  }
}

export function encodeRecord(record: JobRecord): Buffer {
  const writer = new Writer()
  wireRecord.write(writer, { ...record, deletedBuckets: [], slots: slotRuns(record) })
  return writer.take()
}

export function decodeRecord(encoded: Buffer): JobRecord {
  const reader = new Reader(encoded)
  const { slots: runs, deletedBuckets: _, ...rest } = wireRecord.read(reader)
  reader.finish()
  const slots = runs.reduce((sum, run) => sum + run.count, 0)
  const record = {
    ...rest,
    // What was read is a view of the whole record.
    bucketRequests: rest.bucketRequests.map(({ request, bucket }) => ({
      request: Buffer.from(request),
      bucket,
    })),
    owners: new Uint16Array(slots),
    epochs: new Uint32Array(slots),
    lost: new Uint8Array(slots),
    origins: new Uint8Array(slots),
  }
  for (const { first, count, owner, epoch, lost, origin } of runs) {
    record.owners.fill(owner, first, first + count)
    record.epochs.fill(epoch, first, first + count)
    record.lost.fill(lost ? 1 : 0, first, first + count)
    record.origins.fill(origin, first, first + count)
  }
  return record
}

/** The record's slots, in order, as runs. */
export function slotRuns(record: Pick<JobRecord, 'owners' | 'epochs' | 'lost' | 'origins'>): SlotRun[] {
  const runs: SlotRun[] = []
  for (let first = 0; first < record.owners.length; ) {
    const run = slotAt(record, first)
    let end = first + 1
    while (end < record.owners.length && isSame(run, slotAt(record, end))) end++
    runs.push({ first, count: end - first, ...run })
    first = end
  }
  return runs
}

type SlotFate = Omit<SlotRun, 'first' | 'count'>

function slotAt(record: Pick<JobRecord, 'owners' | 'epochs' | 'lost' | 'origins'>, slot: number): SlotFate {
  const { owners, epochs, lost, origins } = record
  return {
    owner: owners[slot] as number,
    epoch: epochs[slot] as number,
    lost: lost[slot] === 1,
    origin: origins[slot] as number,
  }
}

function isSame(a: SlotFate, b: SlotFate): boolean {
  return a.owner === b.owner && a.epoch === b.epoch && a.lost === b.lost && a.origin === b.origin
}
