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

/** Where a part of the demand goes: on a node that is there, or on a new one of a class. */
export interface Assignment extends ResourceVector {
  readonly on: { readonly node: string } | { readonly newOf: NodeClass; readonly capacity: ResourceVector }
}

/** A node that may take a part. */
export interface PackingCandidate extends Bin {
  readonly on: Assignment['on']
  /** Those of a lower rank are taken before others. */
  readonly rank: number
}

interface Steered {
  readonly running: readonly PackingCandidate[]
  /** Nodes that may be started and could take a part, in the order in which they are started. */
  readonly fresh: Iterator<PackingCandidate>
  /** The sum of all demands, this one among them. */
  readonly mix: ResourceVector
  readonly alignment: Alignment
}

/** A node on which a part leaves no more than this of what is scarce is used up. */
const CLOSED_BELOW = 0.035
/** The least part of a demand that is worth a connection: to use a node up, and else. */
const CLOSING_PART_MIN = 1 / 10
const PART_MIN = 1 / 10
/** So many parts are chosen with care, each among all nodes; the rest of what is larger goes where most of it fits. */
const PARTS_STEERED_MAX = 8
/** A node that runs may get as uneven as this: there are jobs that use up the rest. */
const EVEN_ENOUGH = 0.2
/** Nodes that are started early are at most so many more than demands need, as a part of these and beyond that. */
const EARLY_FRACTION = 0.04
const EARLY_NODES = 4

/**
 * Places a demand so that nodes end up used in every resource: part by part, each where the first of these finds a place.
 *
 * 1. On a node that it uses up, with next to nothing left of what is scarce.
 * 2. All of the rest on one node that stays even (`Alignment`).
 * 3. A part on a node that stays even, if there are more nodes already than a few above what all demands need: where it suits
 *    best, and after some parts the largest on the emptiest, all of them found in one look.
 * 4. On a new node; while there are few, only as much as keeps that even.
 *
 * The more nodes are open, each with another remainder, the surer is one found that a demand uses up; that is what the few
 * are for that are started early, as far as more than one resource is scarce. What is started too early costs once, what is
 * stranded costs on every node. Null where a node would have to be started and may not.
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

/** How many times the rest the whole demand is. */
function fractionOf(demand: ResourceVector, rest: ResourceVector): number {
  return demand.ramBytes / rest.ramBytes
}

/** Those on which most of the rest fits first. */
function byRoom(open: readonly PackingCandidate[], rest: ResourceVector): PackingCandidate[] {
  return open
    .map((bin) => ({ bin, bytes: partThatFits(rest, bin.spare).ramBytes }))
    .sort((a, b) => a.bin.rank - b.bin.rank || b.bytes - a.bytes)
    .map(({ bin }) => bin)
}

/** The largest part that fits and keeps the node even, to a thousandth. */
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

/** Whether another node makes no more of them than a few above what all demands need of some resource. */
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

/** Of those with the lowest rank that have a `value` the one for which it is least. */
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
