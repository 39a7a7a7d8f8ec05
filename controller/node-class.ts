import type { Tier } from '../protocol/data-operations.ts'

/** A kind of storage node: what one of them has, what it costs, and how many there may be at once. */
export interface NodeClass {
  readonly name: string
  readonly cores: number
  readonly ramBytes: number
  readonly ssdBytes?: number
  readonly bytesPerSecond: number
  readonly pricePerHour: number
  readonly nodesMax: number
}

/** Bytes on each tier. */
export type TierBytes = Readonly<Record<Tier, number>>

/** The tiers that storage nodes serve, fastest first and cheapest last. */
export const servedTiers = ['ram'] as const satisfies readonly Tier[]

/** What packing counts: of a node that it has or has left, of a job that it needs. */
export const dimensions = ['ramBytes', 'bytesPerSecond'] as const
export type ResourceVector = Readonly<Record<(typeof dimensions)[number], number>>

export const nothing: ResourceVector = Object.freeze({ ramBytes: 0, bytesPerSecond: 0 })

export function add(a: ResourceVector, b: ResourceVector): ResourceVector {
  return { ramBytes: a.ramBytes + b.ramBytes, bytesPerSecond: a.bytesPerSecond + b.bytesPerSecond }
}

/** Never below zero: what is over-committed, as on a node that has less than its class says, has nothing left. */
export function subtract(a: ResourceVector, b: ResourceVector): ResourceVector {
  return {
    ramBytes: Math.max(0, a.ramBytes - b.ramBytes),
    bytesPerSecond: Math.max(0, a.bytesPerSecond - b.bytesPerSecond),
  }
}

export function sum(vectors: Iterable<ResourceVector>): ResourceVector {
  let total = nothing
  for (const vector of vectors) total = add(total, vector)
  return total
}

/** The least of both in every dimension. */
export function least(a: ResourceVector, b: ResourceVector): ResourceVector {
  return {
    ramBytes: Math.min(a.ramBytes, b.ramBytes),
    bytesPerSecond: Math.min(a.bytesPerSecond, b.bytesPerSecond),
  }
}

/** The most of both in every dimension. */
export function most(a: ResourceVector, b: ResourceVector): ResourceVector {
  return {
    ramBytes: Math.max(a.ramBytes, b.ramBytes),
    bytesPerSecond: Math.max(a.bytesPerSecond, b.bytesPerSecond),
  }
}

/** What a cluster has with as many nodes as its classes allow. */
export function limitOf(classes: readonly NodeClass[]): ResourceVector {
  return sum(
    classes.map(({ ramBytes, bytesPerSecond, nodesMax }) => ({
      ramBytes: ramBytes * nodesMax,
      bytesPerSecond: bytesPerSecond * nodesMax,
    })),
  )
}

/** True if `a` is no more than `b` in every dimension. */
export function fits(a: ResourceVector, b: ResourceVector): boolean {
  return a.ramBytes <= b.ramBytes && a.bytesPerSecond <= b.bytesPerSecond
}
