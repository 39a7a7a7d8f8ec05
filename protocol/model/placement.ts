import { EPOCH_MAX, JOB_NODES_MAX, SLOTS_MAX } from '../limits.ts'
import { array, type Codec, struct, text, u16, u32, u64 } from '../wire/codec.ts'
import { violation } from '../wire/reader.ts'

/** A job's mapping of slots to nodes at one epoch. */
export interface Placement {
  /** Rises with every change. */
  readonly epoch: number
  readonly nodes: readonly PlacedNode[]
  /** For each slot an index into `nodes`, or `NOBODY`. Its length is a power of two. */
  readonly owners: Uint16Array
}

export interface PlacedNode {
  readonly id: string
  readonly address: string
}

/** A slot without an owner: its node died and no new one has been chosen. */
export const NOBODY = 0xffff

export const placedNode = struct({ id: text, address: text })

/**
 * The share of a job on one node. Slots are distributed in proportion to `weight`; 0 means that all of them
 * leave.
 */
export interface PlacedShare {
  readonly node: string
  readonly address: string
  readonly weight: number
  readonly ramBytes: number
  readonly ssdBytes: number
  readonly s3Bytes: number
  readonly bytesPerSecond: number
}

export const placedShare = struct({
  node: text,
  address: text,
  weight: u32,
  ramBytes: u64,
  ssdBytes: u64,
  s3Bytes: u64,
  bytesPerSecond: u64,
})

const ownerRuns = array(struct({ node: u16, count: u16 }))

const wirePlacement = struct({ epoch: u32, nodes: array(placedNode), owners: ownerRuns })

/** Owners travel as runs: 1,024 slots on a few nodes take some dozens of bytes. */
export const placementCodec: Codec<Placement> = {
  shape: wirePlacement.shape,
  write: (writer, { epoch, nodes, owners }) => {
    wirePlacement.write(writer, { epoch, nodes, owners: [...runsOf(owners)] })
  },
  read: (reader) => {
    const { epoch, nodes, owners: runs } = wirePlacement.read(reader)
    const slots = runs.reduce((sum, run) => sum + run.count, 0)
    if (slots === 0 || slots > SLOTS_MAX || (slots & (slots - 1)) !== 0) {
      throw violation(`a placement has ${slots} slots, not a power of two up to ${SLOTS_MAX}`)
    }
    if (nodes.length > JOB_NODES_MAX || epoch > EPOCH_MAX) throw violation('a placement is out of bounds')
    const owners = new Uint16Array(slots)
    let slot = 0
    for (const { node, count } of runs) {
      if (node !== NOBODY && node >= nodes.length)
        throw violation('a placement names a node that it does not list')
      owners.fill(node, slot, slot + count)
      slot += count
    }
    return { epoch, nodes, owners }
  },
}

/** The node that owns `slot`; null if none does. */
export function ownerOf(placement: Placement, slot: number): PlacedNode | null {
  return placement.nodes[placement.owners[slot] ?? NOBODY] ?? null
}

function* runsOf(owners: Uint16Array): Generator<{ node: number; count: number }> {
  let start = 0
  for (let slot = 1; slot <= owners.length; slot++) {
    if (slot < owners.length && owners[slot] === owners[start]) continue
    yield { node: owners[start] as number, count: slot - start }
    start = slot
  }
}
