import type { Placed } from '../packing/packing.ts'
import {
  add,
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
  /**
   * The part of it, above 0 and up to 1, whose slots are on their way to the job's other nodes. All of it stays counted
   * until its bytes have left.
   */
  readonly leaving?: number
}

/** Why a job ended. */
export const endReasons = ['deregistered', 'lease', 'failed'] as const
export type EndReason = (typeof endReasons)[number]

/** A job as it stands in the store. Times are milliseconds since the Unix epoch. */
export interface Job {
  readonly id: string
  readonly name: string
  /** Name of the API key that registered it, whose limits it counts against. */
  readonly owner: string
  readonly state: JobState
  readonly hints: Hints
  readonly demand: Demand
  /** Why the demand is what it is, as it was decided. */
  readonly reasons: Sizing['reasons']
  readonly shares: readonly Share[]
  /** Id of the metadata server that decides for the job, as far as was written down. */
  readonly metadata: string
  /** The server that it is being handed to, or null. */
  readonly movingTo: string | null
  /** Servers that had it before: each says where it is now, until it has ended. */
  readonly formerServers: readonly string[]
  readonly leaseSeconds: number
  readonly createdAtMs: number
  /** The last use or renewal that was written down; the ledger knows a later one. */
  readonly usedAtMs: number
  /** The most that it used so far; like `usedAtMs`, the ledger may know of more. */
  readonly peak: Peak
  readonly endedAtMs: number | null
  readonly endReason: EndReason | null
}

/** What jobs have in common of which later ones learn: their owner and name. An owner has no slash in its name. */
export function scopeOf({ owner, name }: Pick<Job, 'owner' | 'name'>): string {
  return `${owner}/${name}`
}

/** Every metadata server that may know the job, in the order in which they had it: the last one may be about to. */
export function serversOf({ metadata, movingTo, formerServers }: Job): string[] {
  const all = [...formerServers, metadata, ...(movingTo === null ? [] : [movingTo])]
  return all.filter((server, index) => all.lastIndexOf(server) === index)
}

/** Those of them that may decide for it. */
export function decidersOf({ metadata, movingTo }: Job): string[] {
  return movingTo === null ? [metadata] : [metadata, movingTo]
}

/** What the job really has; less than its demand after a node died for which there was no replacement. */
export function reservedBy(job: Job): ResourceVector {
  return sum(job.shares)
}

/** What of a share does not leave. */
export function remainderOf(share: Share): ResourceVector {
  return share.leaving === undefined ? share : scale(share, 1 - share.leaving)
}

/** The shares with nothing that leaves: what was on its way goes back. */
export function cancelLeaving(shares: readonly Share[]): Share[] {
  return shares.map(({ leaving: _, ...share }) => share)
}

/** What a job lacks of its demand, given its shares on nodes that take shares. */
export function missingOf(job: Job, open: readonly Share[]): ResourceVector {
  return subtract(job.demand, sum(open))
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

/** On each node the larger of two shares. */
export function maxShares(some: readonly Share[], others: readonly Share[]): Share[] {
  const byNode = new Map<string, Share>(some.map((share) => [share.node, share]))
  for (const share of others)
    byNode.set(share.node, { ...share, ...most(share, byNode.get(share.node) ?? share) })
  return [...byNode.values()]
}

/** The shares in their present proportion, so that they add up to `total`. */
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
 * The shares in their present proportion, each as near to its part of `total` as what it has and what is spare on
 * its node allow. What is missing then has to go elsewhere.
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
    // A node that owns slots keeps a part in the job.
    return fits(fitting, nothing) ? share : { node: share.node, ...fitting }
  })
}
