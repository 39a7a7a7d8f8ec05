import type { Placed } from '../packing/packing.ts'
import {
  add,
  bytesOf,
  fits,
  most,
  nothing,
  partThatFits,
  type ResourceVector,
  scale,
  subtract,
  sum,
} from '../sizing/node-class.ts'
import type { Demand, Hints, Sizing } from '../sizing/rightsizing.ts'
import type { Peak } from '../sizing/run-stats.ts'

/**
 * - `registering`: the reservation counts; nodes and placement are being prepared.
 * - `active`: functions may use it.
 * - `ending`: its bytes are being freed; the reservation still counts.
 * - `ended`: only this record is left.
 */
export const livingStates = ['registering', 'active', 'ending'] as const
export const jobStates = [...livingStates, 'ended'] as const
type JobState = (typeof jobStates)[number]

/** The reservation of a job on one node. */
export interface Share extends ResourceVector {
  readonly node: string
  /**
   * The fraction, above 0 and up to 1, whose slots are moving to the job's other nodes. The whole share counts until those bytes have left.
   */
  readonly leaving?: number
}

/** Why a job ended. */
export const endReasons = ['deregistered', 'lease', 'failed'] as const
export type EndReason = (typeof endReasons)[number]

/** A job as it is stored. Times are milliseconds since the Unix epoch. */
export interface Job {
  readonly id: string
  readonly name: string
  /** Name of the API key that registered it; its quota applies. */
  readonly owner: string
  readonly state: JobState
  readonly hints: Hints
  readonly demand: Demand
  /** The reasons for the demand, as it was decided. */
  readonly reasons: Sizing['reasons']
  readonly shares: readonly Share[]
  /** Id of the metadata server that decides about the job, as last stored. */
  readonly metadata: string
  /** The target server while the job is being transferred, else null. */
  readonly movingTo: string | null
  /** Servers that had the job before. Each knows the present one until the job has ended. */
  readonly formerServers: readonly string[]
  readonly leaseSeconds: number
  readonly createdAtMs: number
  /** The last use or renewal that was stored; the ledger may know a later one. */
  readonly usedAtMs: number
  /** The highest use so far; like `usedAtMs`, the ledger may know a higher one. */
  readonly peak: Peak
  readonly endedAtMs: number | null
  readonly endReason: EndReason | null
}

/** The scope of learning from earlier runs: owner and name. Owner names contain no slash. */
export function scopeOf({ owner, name }: Pick<Job, 'owner' | 'name'>): string {
  return `${owner}/${name}`
}

/** Every metadata server that may know the job, in the order in which they had it; the last may be the target of a transfer. */
export function serversOf({ metadata, movingTo, formerServers }: Job): string[] {
  const all = [...formerServers, metadata, ...(movingTo === null ? [] : [movingTo])]
  return all.filter((server, index) => all.lastIndexOf(server) === index)
}

/** The servers that may decide about the job. */
export function decidersOf({ metadata, movingTo }: Job): string[] {
  return movingTo === null ? [metadata] : [metadata, movingTo]
}

/** The present reservation; less than the demand if a node died without a replacement. */
export function reservedBy(job: Job): ResourceVector {
  return sum(job.shares)
}

/** The part of a share that stays. */
export function remainderOf(share: Share): ResourceVector {
  return share.leaving === undefined ? share : scale(share, 1 - share.leaving)
}

/** The shares with every move cancelled. */
export function cancelLeaving(shares: readonly Share[]): Share[] {
  return shares.map(({ leaving: _, ...share }) => share)
}

/** The part of a job's demand that its shares on open nodes do not cover. */
export function missingOf(job: Job, open: readonly Share[]): ResourceVector {
  return subtract(job.demand, sum(open))
}

/** The jobs with most bytes reserved, up to `max`, the largest first. */
export function largestOf(jobs: readonly Job[], max: number): Job[] {
  return jobs
    .map((job) => ({ job, bytes: bytesOf(reservedBy(job)) }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, max)
    .map(({ job }) => job)
}

/** Merges shares on the same node. */
export function mergeShares(shares: readonly Share[]): Share[] {
  const byNode = new Map<string, Share>()
  for (const share of shares) {
    const before = byNode.get(share.node)
    const merged = before === undefined ? share : { node: share.node, ...sum([before, share]) }
    byNode.set(share.node, merged)
  }
  return [...byNode.values()]
}

/** The larger of two shares on each node. */
export function maxShares(some: readonly Share[], others: readonly Share[]): Share[] {
  const byNode = new Map<string, Share>(some.map((share) => [share.node, share]))
  for (const share of others)
    byNode.set(share.node, { ...share, ...most(share, byNode.get(share.node) ?? share) })
  return [...byNode.values()]
}

/** Scales the shares in proportion so that they add up to `total`. */
export function scaleShares(shares: readonly Share[], total: ResourceVector): Share[] {
  const before = sum(shares)
  if (before.ramBytes === 0) return [...shares]
  let seenRamBytes = 0
  let given = nothing
  return shares.map((share) => {
    seenRamBytes += share.ramBytes
    const upTo = scale(total, seenRamBytes / before.ramBytes)
    const part = { node: share.node, ...subtract(upTo, given) }
    given = upTo
    return part
  })
}

/**
 * Grows the shares in proportion towards `total`, each limited by the spare capacity of its node. The remainder has to be placed elsewhere.
 */
export function growShares(
  shares: readonly Share[],
  total: ResourceVector,
  spares: readonly Placed[],
): Share[] {
  return scaleShares(shares, total).map((part, index) => {
    const share = shares[index] ?? part
    const spare = spares.find(({ node }) => node === share.node) ?? nothing
    const fitting = partThatFits(part, add(share, spare))
    // A node that owns slots keeps a minimal share.
    return fits(fitting, nothing) ? share : { node: share.node, ...fitting }
  })
}
