import type { Tier } from '../../protocol/operations/data-operations.ts'

/** A kind of storage node: its capacity, price, and maximum number. */
export interface NodeClass {
  readonly name: string
  readonly cores: number
  readonly ramBytes: number
  /** 0 if it has no SSD. */
  readonly ssdBytes: number
  readonly bytesPerSecond: number
  readonly pricePerHour: number
  readonly nodesMax: number
}

/** Bytes on each tier. */
export type TierBytes = Readonly<Record<Tier, number>>

/** The dimensions that packing bounds. */
export const dimensions = ['ramBytes', 'ssdBytes', 'bytesPerSecond'] as const

/** Bytes on each tier and bytes per second. Nodes do not bound bytes on S3; they are only counted. */
export type ResourceVector = Readonly<Record<(typeof dimensions)[number] | 's3Bytes', number>>

export const nothing: ResourceVector = Object.freeze({
  ramBytes: 0,
  ssdBytes: 0,
  s3Bytes: 0,
  bytesPerSecond: 0,
})

/** Applies a function in every dimension. */
function combine(
  a: ResourceVector,
  b: ResourceVector,
  step: (a: number, b: number) => number,
): ResourceVector {
  return {
    ramBytes: step(a.ramBytes, b.ramBytes),
    ssdBytes: step(a.ssdBytes, b.ssdBytes),
    s3Bytes: step(a.s3Bytes, b.s3Bytes),
    bytesPerSecond: step(a.bytesPerSecond, b.bytesPerSecond),
  }
}

export function add(a: ResourceVector, b: ResourceVector): ResourceVector {
  return combine(a, b, (x, y) => x + y)
}

/** Never below zero: an over-committed node, smaller than its class says, has nothing left. */
export function subtract(a: ResourceVector, b: ResourceVector): ResourceVector {
  return combine(a, b, (x, y) => Math.max(0, x - y))
}

export function sum(vectors: Iterable<ResourceVector>): ResourceVector {
  let total = nothing
  for (const vector of vectors) total = add(total, vector)
  return total
}

/** The minimum in every dimension. */
export function least(a: ResourceVector, b: ResourceVector): ResourceVector {
  return combine(a, b, Math.min)
}

/** The maximum in every dimension. */
export function most(a: ResourceVector, b: ResourceVector): ResourceVector {
  return combine(a, b, Math.max)
}

/** A fraction of the vector, in whole numbers. */
export function scale(vector: ResourceVector, by: number): ResourceVector {
  return combine(vector, nothing, (x) => Math.floor(x * by))
}

/** The vector part of an object, without other fields. */
export function vectorOf(of: ResourceVector): ResourceVector {
  return combine(of, nothing, (x) => x)
}

/** Bytes of all tiers. */
export function bytesOf({ ramBytes, ssdBytes, s3Bytes }: ResourceVector): number {
  return ramBytes + ssdBytes + s3Bytes
}

/** Capacity of a node of a class, limited to the tiers that nodes serve. */
export function capacityOfClass(
  { ramBytes, ssdBytes, bytesPerSecond }: NodeClass,
  served: ReadonlySet<Tier>,
): ResourceVector {
  return { ramBytes, ssdBytes: served.has('ssd') ? ssdBytes : 0, s3Bytes: 0, bytesPerSecond }
}

/** True if `a` is at most `b` in every bounded dimension. */
export function fits(a: ResourceVector, b: ResourceVector): boolean {
  return a.ramBytes <= b.ramBytes && a.ssdBytes <= b.ssdBytes && a.bytesPerSecond <= b.bytesPerSecond
}

/** The largest fraction of `demand` that fits, up to 1. */
export function fractionThatFits(demand: ResourceVector, spare: ResourceVector): number {
  let by = 1
  for (const each of dimensions) if (demand[each] > 0) by = Math.min(by, spare[each] / demand[each])
  return by
}

/** The largest part of `demand` that fits, in its proportion. Parts smaller than a slot are not placed; packing skips them. */
export function partThatFits(demand: ResourceVector, spare: ResourceVector): ResourceVector {
  if (fits(demand, spare)) return demand
  const by = fractionThatFits(demand, spare)
  const part = scale(demand, by)
  // The scarcest resource is used up exactly; rounding never exceeds it.
  const bounded = (each: (typeof dimensions)[number]): number =>
    spare[each] / demand[each] === by ? spare[each] : Math.min(spare[each], part[each])
  return {
    ramBytes: bounded('ramBytes'),
    ssdBytes: bounded('ssdBytes'),
    s3Bytes: part.s3Bytes,
    bytesPerSecond: bounded('bytesPerSecond'),
  }
}
