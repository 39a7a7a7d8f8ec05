import { array, flag, struct, text, u16, u32, u64 } from '../protocol/codec.ts'
import { DEFAULT_BUCKET, DEFAULT_BUCKET_ID } from '../protocol/keys.ts'
import { NOBODY, type PlacedNode, type Placement } from '../protocol/placement.ts'
import { Reader } from '../protocol/reader.ts'
import { Writer } from '../protocol/writer.ts'

/** What was reserved for a job on one node; slots go to the nodes in proportion to `weight`. */
export interface Share {
  readonly node: string
  readonly address: string
  readonly weight: number
  readonly ramBytes: number
}

/** All that metadata knows of a job: written down in one piece before anyone hears of a change. */
export interface JobRecord {
  readonly id: string
  /** Rises at every change of an owner. */
  readonly epoch: number
  readonly shares: readonly Share[]
  /** The nodes that own slots. */
  readonly nodes: readonly PlacedNode[]
  /** For each slot an index into `nodes`, or `NOBODY`. */
  readonly owners: Uint16Array
  /** For each slot the epoch at which its owner became that. */
  readonly epochs: Uint32Array
  /** For each slot 1 if an owner of it has died, else 0. */
  readonly lost: Uint8Array
  readonly nextBucket: number
  readonly buckets: readonly Bucket[]
  readonly droppedBuckets: readonly number[]
}

export interface Bucket {
  readonly id: number
  readonly name: string
}

const wireRecord = struct({
  id: text,
  epoch: u32,
  shares: array(struct({ node: text, address: text, weight: u32, ramBytes: u64 })),
  nodes: array(struct({ id: text, address: text })),
  slots: array(struct({ count: u16, owner: u16, epoch: u32, lost: flag })),
  nextBucket: u32,
  buckets: array(struct({ id: u32, name: text })),
  droppedBuckets: array(u32),
})

/** Neighbouring slots of one owner, epoch and fate. */
export interface SlotRun {
  readonly count: number
  readonly owner: number
  readonly epoch: number
  readonly lost: boolean
}

/** A job that nobody owns yet, at epoch 0. */
export function newRecord(id: string, slots: number): JobRecord {
  return {
    id,
    epoch: 0,
    shares: [],
    nodes: [],
    owners: new Uint16Array(slots).fill(NOBODY),
    epochs: new Uint32Array(slots),
    lost: new Uint8Array(slots),
    nextBucket: DEFAULT_BUCKET_ID + 1,
    buckets: [{ id: DEFAULT_BUCKET_ID, name: DEFAULT_BUCKET }],
    droppedBuckets: [],
  }
}

export function encodeRecord(record: JobRecord): Buffer {
  const writer = new Writer()
  wireRecord.write(writer, { ...record, slots: slotRuns(record).map((run) => run) })
  return writer.take()
}

export function decodeRecord(bytes: Buffer): JobRecord {
  const reader = new Reader(bytes)
  const { slots: runs, ...rest } = wireRecord.read(reader)
  reader.finish()
  const slots = runs.reduce((sum, run) => sum + run.count, 0)
  const record = {
    ...rest,
    owners: new Uint16Array(slots),
    epochs: new Uint32Array(slots),
    lost: new Uint8Array(slots),
  }
  let from = 0
  for (const { count, owner, epoch, lost } of runs) {
    record.owners.fill(owner, from, from + count)
    record.epochs.fill(epoch, from, from + count)
    record.lost.fill(lost ? 1 : 0, from, from + count)
    from += count
  }
  return record
}

/** The record's slots, in order, as runs. */
export function slotRuns({ owners, epochs, lost }: Pick<JobRecord, 'owners' | 'epochs' | 'lost'>): SlotRun[] {
  const runs: SlotRun[] = []
  let start = 0
  for (let slot = 1; slot <= owners.length; slot++) {
    const same =
      owners[slot] === owners[start] && epochs[slot] === epochs[start] && lost[slot] === lost[start]
    if (slot < owners.length && same) continue
    runs.push({
      count: slot - start,
      owner: owners[start] as number,
      epoch: epochs[start] as number,
      lost: lost[start] === 1,
    })
    start = slot
  }
  return runs
}

export function placementOf({ epoch, nodes, owners }: JobRecord): Placement {
  return { epoch, nodes, owners }
}
