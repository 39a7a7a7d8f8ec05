import { dimensions, nothing, type ResourceVector } from './node-class.ts'

/** What a node has in all, and what of it nobody has reserved. */
export interface Bin {
  readonly capacity: ResourceVector
  readonly spare: ResourceVector
}

/** Of an even node so much may be left in one resource for each unit that is left in another. */
const EVENNESS_MIN = 0.5
/** A node with less than this left is full: its last crumbs need not be even. */
const FULL_BELOW = 0.02
/** Of two nodes that a demand suits alike the fuller one is taken. */
const LEFT_OVER_WEIGHT = 0.05
/** A resource that nearly nobody asks for still counts a little. */
const SHARE_MIN = 0.02

/**
 * How well demands go with what is left on nodes, after the alignment of Tetris (Grandl et al., SIGCOMM'14) and the
 * vector heuristics of Panigrahy et al. (2011). A node is stranded when one resource is used up and another is not; it
 * fills evenly when jobs of opposite kinds meet on it. Even is measured along the mix of all demands: where jobs need
 * far more memory than throughput, throughput that stays over costs nothing.
 *
 * For each resource `left = 1 - used / (capacity × share)`, where `share` is the part of the mix relative to its
 * largest. All `left` of an empty node are 1, of one filled by the average job all fall together. The distance between
 * the largest and the smallest is the node's unevenness. What the node does not have, or no job asks for, does not count.
 */
export class Alignment {
  readonly #mix: ResourceVector
  /** Of the bin that was looked at last: a registration looks at every node, and must not allocate for each. */
  #least = 0
  #most = 0

  /** `mix` is the sum of all demands; only its direction counts. */
  constructor(mix: ResourceVector) {
    this.#mix = mix
  }

  /** Lower is better: how much less even the node gets, and what is left on it. */
  score({ capacity, spare }: Bin, part: ResourceVector): number {
    let leftOver = 0
    for (const each of dimensions) leftOver += fraction(spare[each] - part[each], capacity[each])
    const before = this.#unevenness({ capacity, spare }, nothing)
    return this.#unevenness({ capacity, spare }, part) - before + LEFT_OVER_WEIGHT * leftOver
  }

  /** False if the part would leave a resource on the node that no job of the mix can use up any more. */
  keepsEven(bin: Bin, part: ResourceVector): boolean {
    const after = this.#unevenness(bin, part)
    if (this.#most <= FULL_BELOW || this.#least >= EVENNESS_MIN * this.#most) return true
    return after <= this.#unevenness(bin, nothing)
  }

  /** Of the node without `part`. */
  #unevenness({ capacity, spare }: Bin, part: ResourceVector): number {
    let mostAsked = 0
    for (const each of dimensions) {
      if (capacity[each] > 0) mostAsked = Math.max(mostAsked, this.#mix[each] / capacity[each])
    }
    this.#least = Number.POSITIVE_INFINITY
    this.#most = Number.NEGATIVE_INFINITY
    for (const each of dimensions) {
      if (this.#mix[each] <= 0 || capacity[each] <= 0) continue
      const share = Math.max(SHARE_MIN, this.#mix[each] / capacity[each] / mostAsked)
      const left = 1 - (1 - (spare[each] - part[each]) / capacity[each]) / share
      this.#least = Math.min(this.#least, left)
      this.#most = Math.max(this.#most, left)
    }
    return this.#most === Number.NEGATIVE_INFINITY ? 0 : this.#most - this.#least
  }
}

/** A node that has nothing of a resource has nothing left of it. */
function fraction(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
