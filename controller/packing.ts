import { JOB_NODES_MAX, SLOTS_DEFAULT } from '../protocol/limits.ts'
import { Alignment, type Bin } from './alignment.ts'
import {
  add,
  dimensions,
  fits,
  type NodeClass,
  nothing,
  type ResourceVector,
  scale,
  subtract,
  sum,
  vectorOf,
} from './node-class.ts'

/** A node that runs or starts, what it has, and what of that nobody has reserved. */
export interface Spare extends ResourceVector {
  readonly node: string
  readonly capacity: ResourceVector
  /** Nodes of a lower rank are taken before others: those that serve before those for which a job has to wait. */
  readonly rank: number
}

/** In which order nodes are considered. */
export const NodeRank = { own: 0, serves: 1, starts: 2 } as const

/** A part of a demand on one node. */
export interface Placed extends ResourceVector {
  readonly node: string
}

/** How many nodes of a class may still be started. */
export interface Room {
  readonly nodeClass: NodeClass
  /** What each of them will have. */
  readonly capacity: ResourceVector
  readonly nodes: number
}

/** Where a part of the demand goes: on a node that is there, or on a new one of a class. */
interface Assignment extends ResourceVector {
  readonly on: { readonly node: string } | { readonly newOf: NodeClass; readonly capacity: ResourceVector }
}

/** Why a demand cannot be met: what nobody has reserved yet, on nodes that run and on ones that may be started. */
interface Shortage {
  readonly free: ResourceVector
}

export type Packing = { readonly assignments: readonly Assignment[] } | { readonly shortage: Shortage }

/** Where each of several demands goes, in their order, and the nodes that have to be started for it. */
export interface Plan {
  readonly started: readonly { readonly node: string; readonly nodeClass: NodeClass }[]
  readonly shares: readonly (readonly Placed[])[]
  /** What there then is to pack into. */
  readonly left: Fleet
}

/** What there is to pack into, and the sum of all demands, those of jobs that live among them. */
export interface Fleet {
  readonly spares: readonly Spare[]
  readonly rooms: readonly Room[]
  readonly mix: ResourceVector
}

/** Packs demands one after another, each into what those before it left: all of them, or none. */
export function packAll(
  demands: readonly ResourceVector[],
  into: Fleet,
  newNode: () => string,
): Plan | { readonly shortage: Shortage } {
  const started: { node: string; nodeClass: NodeClass }[] = []
  const shares: Placed[][] = []
  let { spares, rooms, mix } = into
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
        spares = [...spares, { node, capacity, rank: NodeRank.starts, ...subtract(capacity, part) }]
        own.push({ node, ...part })
      } else {
        const { node } = on
        spares = spares.map((spare) => (spare.node === node ? { ...spare, ...subtract(spare, part) } : spare))
        own.push({ node, ...part })
      }
    }
    shares.push(own)
  }
  return { started, shares, left: { spares, rooms, mix } }
}

/** From so many nodes on one of them may be started a little early, so that others keep room for what goes with it. */
const STEERED_FROM_NODES = 8
/** While there are nodes to start, a smaller part of a demand is not worth the connection. */
const PART_MIN = 1 / 20

/**
 * Online vector bin packing. A demand goes whole to the node that it suits best (`Alignment`); else in parts to those
 * that it suits, best first, and to new nodes for the rest. Nodes that run come before new ones, but in a fleet of some
 * size none is filled so that a resource is stranded on it, as long as new ones may be started: what such a node costs
 * too early, the others save by being used up in every resource. In the end whatever fits anywhere is taken. On every
 * node bytes and bytes per second stand in the same proportion as in the demand, because hashing spreads both alike.
 */
export function pack(demand: ResourceVector, fleet: Fleet): Packing {
  const { spares, rooms } = fleet
  const alignment = new Alignment(fleet.mix)
  const steered = spares.length >= STEERED_FROM_NODES
  const fitting = spares.filter((spare) => fits(demand, spare))
  const even = fitting.filter((spare) => alignment.keepsEven(binOf(spare), demand))
  const inQuestion = steered || even.length > 0 ? even : fitting
  const [whole] = inOrder(inQuestion, (spare) => alignment.score(binOf(spare), demand))
  if (whole !== undefined) return { assignments: [{ on: { node: whole.node }, ...vectorOf(demand) }] }
  const assignments =
    (steered ? splitEvenly(demand, fleet, alignment) : null) ?? splitAnyhow(demand, fleet, alignment)
  return assignments === null ? { shortage: { free: freeOf(spares, rooms) } } : { assignments }
}

function splitEvenly(
  demand: ResourceVector,
  { spares, rooms }: Fleet,
  alignment: Alignment,
): Assignment[] | null {
  const least = scale(demand, PART_MIN)
  const able = inOrder(
    spares.filter((spare) => fits(least, spare)),
    (spare) => alignment.score(binOf(spare), least),
  )
  const within = (bin: Candidate, part: ResourceVector): boolean =>
    'newOf' in bin.on || alignment.keepsEven(bin, part)
  return split(demand, binsOf(able, rooms), { partMin: PART_MIN, within })
}

function splitAnyhow(
  demand: ResourceVector,
  { spares, rooms }: Fleet,
  alignment: Alignment,
): Assignment[] | null {
  const sorted = inOrder(spares, (spare) => alignment.score(binOf(spare), partThatFits(demand, spare)))
  return split(demand, binsOf(sorted, rooms), { partMin: 1 / SLOTS_DEFAULT, within: () => true })
}

interface Candidate extends Bin {
  readonly on: Assignment['on']
}

interface Bound {
  /** Of the demand. */
  readonly partMin: number
  /** Whether a part may go there. */
  within(bin: Candidate, part: ResourceVector): boolean
}

/** As much as may go to each in turn; null if that is not all. */
function split(
  demand: ResourceVector,
  bins: Iterable<Candidate>,
  { partMin, within }: Bound,
): Assignment[] | null {
  const assignments: Assignment[] = []
  let rest = vectorOf(demand)
  for (const bin of bins) {
    if (assignments.length === JOB_NODES_MAX) return null
    const part = largestPart(rest, bin, within)
    if (fits(part, nothing)) continue
    if (part.ramBytes < demand.ramBytes * partMin && !fits(rest, part)) continue
    assignments.push({ on: bin.on, ...part })
    rest = subtract(rest, part)
    if (fits(rest, nothing)) return assignments
  }
  return null
}

/** The largest part of `demand` that fits and is within bounds, to a thousandth. */
function largestPart(demand: ResourceVector, bin: Candidate, within: Bound['within']): ResourceVector {
  const whole = partThatFits(demand, bin.spare)
  if (within(bin, whole)) return whole
  let [low, high] = [0, 1]
  for (let step = 0; step < 10; step++) {
    const middle = (low + high) / 2
    if (within(bin, scale(whole, middle))) low = middle
    else high = middle
  }
  return scale(whole, low)
}

/** Those of a lower rank first, and of these the ones of a lower score. */
function inOrder(spares: readonly Spare[], score: (spare: Spare) => number): Spare[] {
  return spares
    .map((spare) => ({ spare, score: score(spare) }))
    .sort((a, b) => a.spare.rank - b.spare.rank || a.score - b.score)
    .map(({ spare }) => spare)
}

function binOf(spare: Spare): Bin {
  return { capacity: spare.capacity, spare }
}

/** What nobody has reserved, on nodes that run and on ones that may be started. */
export function freeOf(spares: readonly Spare[], rooms: readonly Room[]): ResourceVector {
  return sum([...spares, ...rooms.map(capacityOf)])
}

function* binsOf(spares: readonly Spare[], rooms: readonly Room[]): Generator<Candidate> {
  for (const spare of spares) yield { on: { node: spare.node }, ...binOf(spare) }
  for (const { nodeClass, nodes, capacity } of rooms) {
    for (let node = 0; node < nodes; node++) {
      yield { on: { newOf: nodeClass, capacity }, capacity, spare: capacity }
    }
  }
}

/**
 * The largest part of `demand` that fits, in the demand's own proportion. A part of less than one slot is not
 * worth a connection and could not be placed anyway; `pack` passes over it.
 */
export function partThatFits(demand: ResourceVector, spare: ResourceVector): ResourceVector {
  if (fits(demand, spare)) return demand
  const fitting = (each: (typeof dimensions)[number]): number =>
    demand[each] === 0 ? 1 : spare[each] / demand[each]
  const by = Math.min(...dimensions.map(fitting))
  const part = scale(demand, by)
  // What is scarcest is used up to the last byte, and rounding makes nothing larger than it is.
  const bounded = (each: (typeof dimensions)[number]): number =>
    fitting(each) === by ? spare[each] : Math.min(spare[each], part[each])
  return {
    ramBytes: bounded('ramBytes'),
    ssdBytes: bounded('ssdBytes'),
    s3Bytes: part.s3Bytes,
    bytesPerSecond: bounded('bytesPerSecond'),
  }
}

/** What a whole room of new nodes has. */
function capacityOf({ capacity, nodes }: Room): ResourceVector {
  return scale(capacity, nodes)
}
