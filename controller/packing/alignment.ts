import { dimensions, type ResourceVector } from '../sizing/node-class.ts'

/** Capacity of a node and the unreserved rest of it. */
export interface Bin {
  readonly capacity: ResourceVector
  readonly spare: ResourceVector
}

/** A node is balanced (even) if the free fraction of each resource is at least this part of the largest free fraction. */
export const EVEN = 0.5
/** Below this free fraction a node is full and imbalance is ignored. */
const FULL_BELOW = 0.02
/** Weight of the free fraction in the score: of two equally suitable nodes the fuller one is chosen. */
const LEFT_OVER_WEIGHT = 0.01
/** A resource is plentiful if all demands use less than this fraction relative to the most demanded one. */
const SHARE_MIN = 0.3

/**
 * How well demands go with what is left on nodes, after the alignment of Tetris (Grandl et al., SIGCOMM'14) and the
 * vector heuristics of Panigrahy et al. (2011). A node is stranded when one resource is used up and another is not.
 * Jobs of opposite kinds on one node use its resources evenly. Evenness is relative to the mix of all demands: if jobs need
 * far more memory than throughput, unused throughput costs nothing.
 *
 * For each resource `left = 1 - used / (capacity × share)`, where `share` is the part of the mix relative to its
 * largest. On an empty node each `left` is 1, and jobs of the average mix lower all of them equally. The unevenness of a node
 * is the largest minus the smallest `left`. Plentiful resources, and those that the node does not have, are ignored.
 */
export class Alignment {
  readonly #mix: ResourceVector
  /** Memo of the last capacity; nodes of one class have equal capacities. */
  #known: { readonly of: ResourceVector; readonly scarce: readonly Scarce[] } | null = null

  /** `mix` is the sum of all demands; only its direction counts. */
  constructor(mix: ResourceVector) {
    this.#mix = mix
  }

  /** Lower is better: the increase of unevenness, plus a small weight for the free rest. */
  score(bin: Bin, part: ResourceVector): number {
    const after = without(bin, part)
    const { capacity, spare } = after
    let leftOver = 0
    for (const each of dimensions) leftOver += fraction(spare[each], capacity[each])
    return this.#unevenness(after) - this.#unevenness(bin) + LEFT_OVER_WEIGHT * leftOver
  }

  /** False if the part would leave less than `evenness` of one resource per unit of another, and make the node less even than it is. */
  keepsEven(bin: Bin, part: ResourceVector, evenness: number): boolean {
    const after = without(bin, part)
    const { least, most } = this.#left(after)
    if (most <= FULL_BELOW || least >= evenness * most) return true
    return most - least <= this.#unevenness(bin)
  }

  /** The free fraction of each scarce resource after a part of `demand`, scaled by its share. */
  leftBy({ capacity, spare }: Bin, demand: ResourceVector, part: number): number {
    let left = 0
    for (const { each, share } of this.#scarce(capacity)) {
      left += (share * (spare[each] - part * demand[each])) / capacity[each]
    }
    return left
  }

  /** True if at least two resources are scarce; only then can one be stranded. */
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

/** A node without a resource has nothing left of it. */
function fraction(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
