import { dimensions, type NodeClass, type ResourceVector } from '../sizing/node-class.ts'
import type { Role } from './roles.ts'

/** Four ways to bound what is spent; each is optional. */
export const quotaDimensions = ['jobs', 'bytes', 'bytesPerSecond', 'pricePerHour'] as const
type Dimension = (typeof quotaDimensions)[number]

/** What all jobs of a cluster, or of one API key, may have at a time. */
export type Quota = Readonly<Partial<Record<Dimension, number>>>

/** What they have. */
export type Spending = Readonly<Record<Dimension, number>>

export const nothingSpent: Spending = Object.freeze({ jobs: 0, bytes: 0, bytesPerSecond: 0, pricePerHour: 0 })

/** An API key: its name tells callers apart, in the config file and in what is shown. */
export interface ApiKey {
  readonly name: string
  readonly key: string
  readonly role: Role
  readonly quota: Quota
}

/** The first limit that would be passed, with the numbers; null if none. */
export function excessOf(quota: Quota, spent: Spending, more: Spending): string | null {
  for (const dimension of quotaDimensions) {
    const limit = quota[dimension]
    if (limit === undefined || more[dimension] <= 0) continue
    const after = spent[dimension] + more[dimension]
    // Prices are fractions: a billionth of rounding is no excess.
    if (after <= limit * (1 + 1e-9)) continue
    return `${dimension} is limited to ${limit}, of which ${round(spent[dimension])} are in use, and this asks for ${round(more[dimension])}`
  }
  return null
}

/** What living jobs cost: each pays for the part of a node that it keeps others from, by its scarcest resource. */
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
