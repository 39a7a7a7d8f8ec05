import { dimensions, type ResourceVector } from '../sizing/node-class.ts'

/** What a node has in all, and what of it nobody has reserved. */
export interface Bin {
  readonly capacity: ResourceVector
  readonly spare: ResourceVector
}

/** Of an even node at least so much is left in each resource for each unit that is left in another. */
export const EVEN = 0.5
/** A node with less than this left is full: its last crumbs need not be even. */
const FULL_BELOW = 0.02
/** Of two nodes that a demand suits alike the fuller one is taken. */
const LEFT_OVER_WEIGHT = 0.01
/** A resource of which all demands ask for less than this part of the one that they ask most of is plentiful. */
const SHARE_MIN = 0.3

/**
 * How well demands go with what is left on nodes, after the alignment of Tetris (Grandl et al., SIGCOMM'14) and the
 * vector heuristics of Panigrahy et al. (2011). A node is stranded when one resource is used up and another is not; it
 * fills evenly when jobs of opposite kinds meet on it. Even is measured along the mix of all demands: where jobs need
 * far more memory than throughput, throughput that stays over costs nothing.
 *
 * For each resource `left = 1 - used / (capacity × share)`, where `share` is the part of the mix relative to its
 * largest. All `left` of an empty node are 1, of one filled by the average job all fall together. The distance between
 * the largest and the smallest is the node's unevenness. What is plentiful does not count, nor what the node does not have.
 */
export class Alignment {
  readonly #mix: ResourceVector
  /** Of the capacity that was asked for last: nodes of a class have the same, and a fleet is looked at node by node. */
  #known: { readonly of: ResourceVector; readonly scarce: readonly Scarce[] } | null = null

  /** `mix` is the sum of all demands; only its direction counts. */
  constructor(mix: ResourceVector) {
    this.#mix = mix
  }

  /** Lower is better: how much less even the node gets, and what is left on it. */
  score(bin: Bin, part: ResourceVector): number {
    const after = without(bin, part)
    const { capacity, spare } = after
    let leftOver = 0
    for (const each of dimensions) leftOver += fraction(spare[each], capacity[each])
    return this.#unevenness(after) - this.#unevenness(bin) + LEFT_OVER_WEIGHT * leftOver
  }

  /**
   * False if the part would leave less than `evenness` of one resource for each unit of another, and more unevenly than
   * it is now.
   */
  keepsEven(bin: Bin, part: ResourceVector, evenness: number): boolean {
    const after = without(bin, part)
    const { least, most } = this.#left(after)
    if (most <= FULL_BELOW || least >= evenness * most) return true
    return most - least <= this.#unevenness(bin)
  }

  /** What a part of `demand` would leave of what is scarce, in parts of the node, each resource weighed by its share. */
  leftBy({ capacity, spare }: Bin, demand: ResourceVector, part: number): number {
    let left = 0
    for (const { each, share } of this.#scarce(capacity)) {
      left += (share * (spare[each] - part * demand[each])) / capacity[each]
    }
    return left
  }

  /** True if more than one resource is scarce: only then can one be used up and another left over. */
  canStrand(capacity: ResourceVector): boolean {
    return this.#scarce(capacity).length > 1
  }

  #unevenness(bin: Bin): number {
    const { least, most } = this.#left(bin)
    return most === Number.NEGATIVE_INFINITY ? 0 : most - least
  }

  #left({ capacity, spare }: Bin): { least: number; most: number } {
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (const { each, share } of this.#scarce(capacity)) {
      const left = 1 - (1 - spare[each] / capacity[each]) / share
      least = Math.min(least, left)
      most = Math.max(most, left)
    }
    return { least, most }
  }

  #scarce(capacity: ResourceVector): readonly Scarce[] {
    const known = this.#known
    if (known !== null && dimensions.every((each) => known.of[each] === capacity[each])) return known.scarce
    const scarce = this.#scarceOf(capacity)
    this.#known = { of: capacity, scarce }
    return scarce
  }

  #scarceOf(capacity: ResourceVector): readonly Scarce[] {
    const asked = (each: Dimension): number => fraction(this.#mix[each], capacity[each])
    const most = Math.max(...dimensions.map(asked))
    if (most === 0) return []
    return dimensions
      .map((each) => ({ each, share: asked(each) / most }))
      .filter(({ share }) => share >= SHARE_MIN)
  }
}

type Dimension = (typeof dimensions)[number]

interface Scarce {
  readonly each: Dimension
  readonly share: number
}

function without({ capacity, spare }: Bin, part: ResourceVector): Bin {
  return {
    capacity,
    spare: {
      ramBytes: spare.ramBytes - part.ramBytes,
      ssdBytes: spare.ssdBytes - part.ssdBytes,
      s3Bytes: 0,
      bytesPerSecond: spare.bytesPerSecond - part.bytesPerSecond,
    },
  }
}

/** A node that has nothing of a resource has nothing left of it. */
function fraction(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
