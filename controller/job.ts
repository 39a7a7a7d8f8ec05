import { type ResourceVector, sum } from './node-class.ts'
import type { Demand, Hints } from './rightsizing.ts'

/**
 * - `registering`: its reservation is counted; nodes and placement are being made ready.
 * - `active`: functions may use it.
 * - `ending`: its bytes are being freed; what it reserved is still counted.
 * - `ended`: nothing is left of it but this record.
 */
export const jobStates = ['registering', 'active', 'ending', 'ended'] as const
type JobState = (typeof jobStates)[number]

/** What is set aside for a job on one node. */
export interface Share extends ResourceVector {
  readonly node: string
}

/** Why a job ended. */
export const endReasons = ['deregistered', 'lease', 'failed'] as const
export type EndReason = (typeof endReasons)[number]

/** A job as it stands in the store. Times are milliseconds since the Unix epoch. */
export interface Job {
  readonly id: string
  readonly name: string
  readonly state: JobState
  readonly hints: Hints
  readonly demand: Demand
  readonly shares: readonly Share[]
  /** Id of the metadata server that places the job's slots. */
  readonly metadata: string
  readonly leaseSeconds: number
  readonly createdAtMs: number
  /** The last use or renewal that was written down; the ledger knows a later one. */
  readonly usedAtMs: number
  readonly endedAtMs: number | null
  readonly endReason: EndReason | null
}

/** What the job really has; less than its demand after a node died for which there was no replacement. */
export function reservedBy(job: Job): ResourceVector {
  return sum(job.shares)
}

/** Shares on the same node become one. */
export function mergeShares(shares: readonly Share[]): Share[] {
  const byNode = new Map<string, Share>()
  for (const share of shares) {
    const before = byNode.get(share.node)
    const merged = before === undefined ? share : { node: share.node, ...sum([before, share]) }
    byNode.set(share.node, merged)
  }
  return [...byNode.values()]
}

/** The shares in their present proportion, so that they add up to `total`. */
export function scaleShares(shares: readonly Share[], total: ResourceVector): Share[] {
  const before = sum(shares)
  let seen: ResourceVector = { ramBytes: 0, bytesPerSecond: 0 }
  let given: ResourceVector = { ramBytes: 0, bytesPerSecond: 0 }
  return shares.map((share) => {
    seen = sum([seen, share])
    const upTo = {
      ramBytes: Math.floor(total.ramBytes * (seen.ramBytes / before.ramBytes)),
      bytesPerSecond: Math.floor(total.bytesPerSecond * (seen.ramBytes / before.ramBytes)),
    }
    const part = {
      node: share.node,
      ramBytes: upTo.ramBytes - given.ramBytes,
      bytesPerSecond: upTo.bytesPerSecond - given.bytesPerSecond,
    }
    given = upTo
    return part
  })
}
