import { dimensions, type NodeClass, type ResourceVector } from '../sizing/node-class.ts'
import type { Role } from './roles.ts'

/** The dimensions of a quota; each is optional. */
export const quotaDimensions = ['jobs', 'bytes', 'bytesPerSecond', 'pricePerHour'] as const
type Dimension = (typeof quotaDimensions)[number]

/** Bounds of what all jobs of a cluster, or of one API key, may reserve at a time. */
export type Quota = Readonly<Partial<Record<Dimension, number>>>

/** What they reserve. */
export type Spending = Readonly<Record<Dimension, number>>

export const nothingSpent: Spending = Object.freeze({ jobs: 0, bytes: 0, bytesPerSecond: 0, pricePerHour: 0 })

/** An API key; its name identifies the caller in the config and in replies. */
export interface ApiKey {
  readonly name: string
  readonly key: string
  readonly role: Role
  readonly quota: Quota
}

/** The first quota that would be exceeded, with the numbers; null if none. */
export function excessOf(quota: Quota, spent: Spending, more: Spending): string | null {
  for (const dimension of quotaDimensions) {
    const limit = quota[dimension]
    if (limit === undefined || more[dimension] <= 0) continue
    const after = spent[dimension] + more[dimension]
    // Prices are fractions; 1e-9 absorbs rounding.
    if (after <= limit * (1 + 1e-9)) continue
    return `${dimension} is limited to ${limit}, of which ${round(spent[dimension])} are in use, and this asks for ${round(more[dimension])}`
  }
  return null
}

/** The price of a share: the fraction of its node that it occupies, by its scarcest resource. */
export function priceOf(share: ResourceVector, nodeClass: NodeClass): number {
  const { pricePerHour } = nodeClass
  const parts = dimensions.map((each) => (nodeClass[each] === 0 ? 0 : share[each] / nodeClass[each]))
  return pricePerHour * Math.max(...parts)
}

export function addSpending(a: Spending, b: Spending): Spending {
  return {
    jobs: a.jobs + b.jobs,
    bytes: a.bytes + b.bytes,
    bytesPerSecond: a.bytesPerSecond + b.bytesPerSecond,
    pricePerHour: a.pricePerHour + b.pricePerHour,
  }
}

function round(amount: number): number {
  return Number(amount.toFixed(6))
}
