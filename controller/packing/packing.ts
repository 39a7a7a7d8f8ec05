import { JOB_NODES_MAX, SLOTS_DEFAULT } from '../../protocol/limits.ts'
import {
  add,
  fits,
  type NodeClass,
  nothing,
  partThatFits,
  type ResourceVector,
  scale,
  subtract,
  sum,
  vectorOf,
} from '../sizing/node-class.ts'
import { Alignment, EVEN } from './alignment.ts'
import { type Assignment, leastOf, type PackingCandidate, splitPack } from './split-packing.ts'

/** A running or starting node with its capacity and the unreserved rest of it. */
export interface Spare extends ResourceVector {
  readonly node: string
  readonly capacity: ResourceVector
  /** Nodes of a lower rank are preferred: those that serve before those that are still starting. */
  readonly rank: number
}

/** The order in which nodes are considered. */
export const NodeRank = { own: 0, serves: 1, starts: 2 } as const

/** The part of a demand on one node. */
export interface Placed extends ResourceVector {
  readonly node: string
}

/** Number of nodes of a class that may still be started. */
export interface Room {
  readonly nodeClass: NodeClass
  /** Capacity of each of them. */
  readonly capacity: ResourceVector
  readonly nodes: number
}

/** The free capacity, on running nodes and on ones that may be started, where a demand does not fit. */
interface Shortage {
  readonly free: ResourceVector
}

export type Packing = { readonly assignments: readonly Assignment[] } | { readonly shortage: Shortage }

/** The placement of each demand, in order, and the nodes to start. */
export interface Plan {
  readonly started: readonly { readonly node: string; readonly nodeClass: NodeClass }[]
  readonly shares: readonly (readonly Placed[])[]
  /** The fleet after the plan. */
  readonly left: Fleet
}

/** The fleet to pack into, and the sum of all demands including those of living jobs. */
export interface Fleet {
  readonly spares: readonly Spare[]
  readonly rooms: readonly Room[]
  readonly mix: ResourceVector
}

/** Packs demands one after another: all of them or none. */
export function packAll(
  demands: readonly ResourceVector[],
  into: Fleet,
  newNode: () => string,
): Plan | { readonly shortage: Shortage } {
  const started: { node: string; nodeClass: NodeClass }[] = []
  const shares: Placed[][] = []
  let { rooms, mix } = into
  const spares = [...into.spares]
  for (const demand of demands) {
    mix = add(mix, demand)
    const packing = pack(demand, { spares, rooms, mix })
    if ('shortage' in packing) return { shortage: { free: freeOf(into.spares, into.rooms) } }
    const own: Placed[] = []
    for (const { on, ...part } of packing.assignments) {
      if ('newOf' in on) {
        const { newOf: nodeClass, capacity } = on
        const node = newNode()
        started.push({ node, nodeClass })
        rooms = rooms.map((room) =>
          room.nodeClass === nodeClass ? { ...room, nodes: room.nodes - 1 } : room,
        )
        spares.push({ node, capacity, rank: NodeRank.starts, ...subtract(capacity, part) })
        own.push({ node, ...part })
      } else {
        const { node } = on
        const at = spares.findIndex((spare) => spare.node === node)
        const spare = spares[at]
        if (spare !== undefined) spares[at] = { ...spare, ...subtract(spare, part) }
        own.push({ node, ...part })
      }
    }
    shares.push(own)
  }
  return { started, shares, left: { spares, rooms, mix } }
}

/** From this number of nodes on, a node is started slightly early so that complementary demands find room. */
const STEERED_FROM_NODES = 8

/**
 * Online vector bin packing. In a fleet of at least `STEERED_FROM_NODES` nodes a demand is split (`splitPack`) so that no resource is
 * stranded. Otherwise, or if that finds no room, it goes whole to the best aligned node (`Alignment`), else in parts to several nodes, best
 * first, and to new nodes for the rest. Every part has the proportion of bytes to bytes/s of the demand, since hashing spreads both alike.
 */
export function pack(demand: ResourceVector, fleet: Fleet): Packing {
  const alignment = new Alignment(fleet.mix)
  const running = fleet.spares.map(candidateOf)
  const able = fleet.rooms.filter(({ capacity }) => !fits(partThatFits(demand, capacity), nothing))
  const fresh = (): Generator<PackingCandidate> => freshOf(able)
  const assignments =
    running.length >= STEERED_FROM_NODES
      ? splitPack(demand, { running, fresh: fresh(), mix: fleet.mix, alignment })
      : placeWhole(demand, running, alignment)
  const found = assignments ?? splitAnyhow(demand, { running, fresh: fresh(), alignment })
  return found === null ? { shortage: { free: freeOf(fleet.spares, fleet.rooms) } } : { assignments: found }
}

function placeWhole(
  demand: ResourceVector,
  running: readonly PackingCandidate[],
  alignment: Alignment,
): Assignment[] | null {
  const fitting = running.filter(({ spare }) => fits(demand, spare))
  const even = fitting.filter((bin) => alignment.keepsEven(bin, demand, EVEN))
  const best = leastOf(even.length > 0 ? even : fitting, (bin) => alignment.score(bin, demand))
  return best === null ? null : [{ on: best.on, ...vectorOf(demand) }]
}

/** As much as fits on each in turn; null if the demand does not fit. */
function splitAnyhow(
  demand: ResourceVector,
  {
    running,
    fresh,
    alignment,
  }: { running: readonly PackingCandidate[]; fresh: Iterable<PackingCandidate>; alignment: Alignment },
): Assignment[] | null {
  const sorted = running
    .map((bin) => ({ bin, score: alignment.score(bin, partThatFits(demand, bin.spare)) }))
    .sort((a, b) => a.bin.rank - b.bin.rank || a.score - b.score)
    .map(({ bin }) => bin)
  const assignments: Assignment[] = []
  let rest = vectorOf(demand)
  for (const bin of chain(sorted, fresh)) {
    if (assignments.length === JOB_NODES_MAX) return null
    const part = partThatFits(rest, bin.spare)
    if (fits(part, nothing)) continue
    if (part.ramBytes < demand.ramBytes / SLOTS_DEFAULT && !fits(rest, part)) continue
    assignments.push({ on: bin.on, ...part })
    rest = subtract(rest, part)
    if (fits(rest, nothing)) return assignments
  }
  return null
}

function* chain(
  first: Iterable<PackingCandidate>,
  second: Iterable<PackingCandidate>,
): Generator<PackingCandidate> {
  yield* first
  yield* second
}

function candidateOf(spare: Spare): PackingCandidate {
  const { node, rank, capacity } = spare
  return { on: { node }, rank, capacity, spare }
}

function* freshOf(rooms: readonly Room[]): Generator<PackingCandidate> {
  for (const { nodeClass, nodes, capacity } of rooms) {
    for (let node = 0; node < nodes; node++) {
      yield { on: { newOf: nodeClass, capacity }, rank: NodeRank.starts, capacity, spare: capacity }
    }
  }
}

/** Unreserved capacity of running nodes and of nodes that may be started. */
export function freeOf(spares: readonly Spare[], rooms: readonly Room[]): ResourceVector {
  return sum([...spares, ...rooms.map(capacityOf)])
}

/** Capacity of all nodes of a room. */
function capacityOf({ capacity, nodes }: Room): ResourceVector {
  return scale(capacity, nodes)
}
