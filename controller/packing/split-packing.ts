import { JOB_NODES_MAX } from '../../protocol/limits.ts'
import {
  add,
  dimensions,
  fits,
  fractionThatFits,
  type NodeClass,
  nothing,
  partThatFits,
  type ResourceVector,
  scale,
  subtract,
  vectorOf,
} from '../sizing/node-class.ts'
import { type Alignment, type Bin, EVEN } from './alignment.ts'

/** A part of the demand on an existing node or on a new one of a class. */
export interface Assignment extends ResourceVector {
  readonly on: { readonly node: string } | { readonly newOf: NodeClass; readonly capacity: ResourceVector }
}

/** A node that may take a part. */
export interface PackingCandidate extends Bin {
  readonly on: Assignment['on']
  /** Lower ranks are preferred. */
  readonly rank: number
}

interface Steered {
  readonly running: readonly PackingCandidate[]
  /** Nodes that may be started and could take a part, in start order. */
  readonly fresh: Iterator<PackingCandidate>
  /** The sum of all demands, including this one. */
  readonly mix: ResourceVector
  readonly alignment: Alignment
}

/** A node is used up if a part leaves at most this fraction of the scarce resources. */
const CLOSED_BELOW = 0.035
/** Minimum part of a demand that justifies a connection, if it uses a node up, and otherwise. */
const CLOSING_PART_MIN = 1 / 10
const PART_MIN = 1 / 10
/** Number of parts that are chosen among all nodes; the rest of a larger demand goes where most of it fits. */
const PARTS_STEERED_MAX = 8
/** A running node may become this uneven, since other jobs can use up the rest. */
const EVEN_ENOUGH = 0.2
/** Bound of nodes that are started early: a fraction of the needed nodes, and a constant. */
const EARLY_FRACTION = 0.04
const EARLY_NODES = 4

/**
 * Places a demand so that nodes are used up in every resource, part by part. For each part the first rule that finds a place decides.
 *
 * 1. On a node that it uses up, leaving almost nothing of the scarce resources.
 * 2. The whole rest on one node that stays even (`Alignment`).
 * 3. A part on a node that stays even, if there are a few more nodes than all demands need: on the best aligned one; after
 * `PARTS_STEERED_MAX` parts, the largest parts on the emptiest nodes in one pass.
 * 4. On a new node. While there are few, only as much as keeps it even.
 *
 * With more open nodes of different remainders, a demand more often finds one that it uses up; a few nodes are started early for that, as
 * far as more than one resource is scarce. An early start costs once; a stranded resource costs on every node. Null if a node would have to
 * be started and may not be.
 */
export function splitPack(demand: ResourceVector, steered: Steered): Assignment[] | null {
  const { fresh, mix, alignment } = steered
  const open = new Set(steered.running)
  let nodes = sumCapacity(steered.running)
  let rest = vectorOf(demand)
  const assignments: Assignment[] = []
  const place = (bin: PackingCandidate, part: ResourceVector): void => {
    assignments.push({ on: bin.on, ...part })
    rest = subtract(rest, part)
    open.delete(bin)
  }
  let roomiest: PackingCandidate[] | null = null
  for (let next = fresh.next(); !fits(rest, nothing); ) {
    if (assignments.length === JOB_NODES_MAX) return null
    const careful = assignments.length < PARTS_STEERED_MAX
    const closed = careful ? findClosing(open, { demand, rest, alignment }) : null
    if (closed !== null) {
      place(closed.bin, closed.part)
      continue
    }
    const whole = findWhole(open, rest, alignment)
    if (whole !== null) {
      place(whole, rest)
      continue
    }
    const early =
      next.done !== true &&
      alignment.canStrand(next.value.capacity) &&
      isEarly(nodes, next.value.capacity, mix)
    const among = (): Iterable<PackingCandidate> => {
      if (careful) return open
      roomiest ??= byRoom([...open], rest)
      return roomiest.splice(0, 1)
    }
    const even = early ? null : findEven(among(), { demand, rest, alignment })
    if (even !== null) {
      place(even.bin, even.part)
      continue
    }
    if (next.done === true) return null
    const bin = next.value
    const part = early ? evenPart(bin, rest, { alignment, evenness: EVEN }) : partThatFits(rest, bin.spare)
    place(bin, part)
    nodes = sumCapacity([bin, { capacity: nodes }])
    next = fresh.next()
  }
  return assignments
}

interface Placing {
  readonly demand: ResourceVector
  readonly rest: ResourceVector
  readonly alignment: Alignment
}

interface Found {
  readonly bin: PackingCandidate
  readonly part: ResourceVector
}

function findClosing(open: Iterable<PackingCandidate>, { demand, rest, alignment }: Placing): Found | null {
  const least = fractionOf(demand, rest) * CLOSING_PART_MIN
  const bin = leastOf(open, (each) => {
    const part = fractionThatFits(rest, each.spare)
    if (part < least && part < 1) return null
    const left = alignment.leftBy(each, rest, part)
    return left <= CLOSED_BELOW ? left : null
  })
  return bin === null ? null : { bin, part: partThatFits(rest, bin.spare) }
}

function findWhole(
  open: Iterable<PackingCandidate>,
  rest: ResourceVector,
  alignment: Alignment,
): PackingCandidate | null {
  return leastOf(open, (bin) => {
    const isAble = fits(rest, bin.spare) && alignment.keepsEven(bin, rest, EVEN_ENOUGH)
    return isAble ? alignment.score(bin, rest) : null
  })
}

function findEven(open: Iterable<PackingCandidate>, { demand, rest, alignment }: Placing): Found | null {
  const least = fractionOf(demand, rest) * PART_MIN
  const evenOn = (bin: PackingCandidate): ResourceVector =>
    evenPart(bin, rest, { alignment, evenness: EVEN_ENOUGH })
  const best = leastOf(open, (bin) => {
    const most = fractionThatFits(rest, bin.spare)
    if (most === 0 || (most < least && most < 1)) return null
    const part = evenOn(bin)
    const by = part.ramBytes / rest.ramBytes
    return by < least && !fits(rest, part) ? null : alignment.score(bin, part) / by
  })
  return best === null ? null : { bin: best, part: evenOn(best) }
}

/** The ratio of the whole demand to the rest. */
function fractionOf(demand: ResourceVector, rest: ResourceVector): number {
  return demand.ramBytes / rest.ramBytes
}

/** Ordered by how much of the rest fits, most first. */
function byRoom(open: readonly PackingCandidate[], rest: ResourceVector): PackingCandidate[] {
  return open
    .map((bin) => ({ bin, bytes: partThatFits(rest, bin.spare).ramBytes }))
    .sort((a, b) => a.bin.rank - b.bin.rank || b.bytes - a.bytes)
    .map(({ bin }) => bin)
}

/** The largest part that fits and keeps the node even, to 1/1000. */
function evenPart(
  bin: PackingCandidate,
  rest: ResourceVector,
  { alignment, evenness }: { alignment: Alignment; evenness: number },
): ResourceVector {
  const most = partThatFits(rest, bin.spare)
  if (alignment.keepsEven(bin, most, evenness)) return most
  let [low, high] = [0, 1]
  for (let step = 0; step < 10; step++) {
    const middle = (low + high) / 2
    if (alignment.keepsEven(bin, scale(most, middle), evenness)) low = middle
    else high = middle
  }
  return scale(most, low)
}

/** True if one node more would exceed what all demands need by at most the early bound. */
function isEarly(nodes: ResourceVector, another: ResourceVector, mix: ResourceVector): boolean {
  return dimensions.some((each) => {
    const few = mix[each] * (1 + EARLY_FRACTION) + another[each] * EARLY_NODES
    return another[each] > 0 && nodes[each] + another[each] <= few
  })
}

function sumCapacity(bins: Iterable<{ readonly capacity: ResourceVector }>): ResourceVector {
  let total = nothing
  for (const { capacity } of bins) total = add(total, capacity)
  return total
}

/** The candidate of the lowest rank with the least `value`. */
export function leastOf<T extends { readonly rank: number }>(
  items: Iterable<T>,
  value: (item: T) => number | null,
): T | null {
  let least: { item: T; value: number } | null = null
  for (const item of items) {
    if (least !== null && item.rank > least.item.rank) continue
    const its = value(item)
    if (its === null) continue
    if (least === null || item.rank < least.item.rank || its < least.value) least = { item, value: its }
  }
  return least?.item ?? null
}
