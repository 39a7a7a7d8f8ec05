import { MayflyError } from '../../protocol/errors.ts'
import type { Keys } from '../access/keys.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { JOBS_MAX } from '../limits.ts'
import type { FleetCapacity } from '../nodes/capacity.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import type { Placer, Proposal } from '../placement/placer.ts'
import type { Job, Share } from '../records/job.ts'
import { isOpen } from '../records/node.ts'
import { addSpending, excessOf, nothingSpent, priceOf, type Quota, type Spending } from '../records/quota.ts'
import { bytesOf, type NodeClass } from '../sizing/node-class.ts'
import type { Demand } from '../sizing/rightsizing.ts'

export interface AdmissionOptions {
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly fleetCapacity: FleetCapacity
  readonly placer: Placer
  /** Bounds of all jobs and nodes together. */
  readonly quota: Quota
  readonly keys: Pick<Keys, 'quotaOf'>
}

/**
 * The bound that refuses: the capacity or quota of the cluster, which blocks everyone behind it, or the quota of one key, which blocks only
 * that key.
 */
export interface Refusal {
  readonly by: 'cluster' | 'key'
  readonly error: MayflyError
}

const nothingProposed: Proposal = Object.freeze({ shares: [], started: [] })

/** Decides what may be reserved, by free capacity and by the quotas of the cluster and of the key. */
export class Admission {
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** `UNAVAILABLE` where nodes are started by others and none is there: then nothing is known of tiers and capacity. */
  withoutNodes(): Refusal | null {
    const { fleetCapacity, nodes } = this.#options
    if (!fleetCapacity.isFixed || nodes.all().some(isOpen)) return null
    return { by: 'cluster', error: new MayflyError('UNAVAILABLE', 'No storage node has joined yet') }
  }

  /** Throws `RESERVATION_REFUSED` for a demand that an empty cluster could not meet. Nodes that others start may still join. */
  requirePossible(owner: string, demand: Demand): void {
    const { placer, quota, fleetCapacity } = this.#options
    const proposal = fleetCapacity.isFixed ? nothingProposed : placer.proposeOnEmpty(demand)
    const more = { ...spendingOf(demand), pricePerHour: this.#priceOf(proposal, demand) }
    const excess = this.#excess(owner, { quota: nothingSpent, key: nothingSpent }, more)
    if (excess !== null) throw refused(`${excess.text}; it can never be met`)
    const nodesPrice = priceOfNodes(proposal)
    if (quota.pricePerHour !== undefined && nodesPrice > quota.pricePerHour) {
      throw refused(
        `The nodes for it cost ${nodesPrice} an hour, and the cluster's pricePerHour is limited to ${quota.pricePerHour}; it can never be met`,
      )
    }
  }

  /** Shares for a new job. The caller enters them into the ledger before it awaits anything. */
  admit(owner: string, demand: Demand): readonly Share[] | Refusal {
    const { ledger, placer } = this.#options
    if (ledger.livingCount >= JOBS_MAX) {
      return { by: 'cluster', error: refused(`${JOBS_MAX} jobs live already, as many as a cluster may have`) }
    }
    const proposal = placer.propose(demand)
    if (proposal instanceof MayflyError) return { by: 'cluster', error: proposal }
    const refusal = this.#refusalOf(
      owner,
      { ...spendingOf(demand), pricePerHour: this.#priceOf(proposal, demand) },
      proposal,
    )
    if (refusal !== null) return refusal
    placer.start(proposal)
    return proposal.shares
  }

  /** Shares for a job that grows or shrinks; quotas apply to the increase. Throws `RESERVATION_REFUSED`. */
  resize(job: Job, demand: Demand): readonly Share[] {
    const { placer } = this.#options
    const proposal = placer.proposeResize(job, demand)
    const more = {
      jobs: 0,
      bytes: bytesOf(demand) - bytesOf(job.demand),
      bytesPerSecond: demand.bytesPerSecond - job.demand.bytesPerSecond,
      pricePerHour: this.#priceOf(proposal, demand) - this.priceOf(job),
    }
    const refusal = this.#refusalOf(job.owner, more, proposal)
    if (refusal !== null) throw refusal.error
    placer.start(proposal)
    return proposal.shares
  }

  /** The reservations of the jobs of one key, or of all jobs. */
  spent(owner: string | null): Spending {
    let spent = nothingSpent
    for (const job of this.#options.ledger.living()) {
      if (owner !== null && job.owner !== owner) continue
      spent = addSpending(spent, { ...spendingOf(job.demand), pricePerHour: this.priceOf(job) })
    }
    return spent
  }

  /** The price of a job: its fraction of its nodes, and what S3 charges. */
  priceOf({ shares, demand }: Job): number {
    return this.#priceOfShares(shares) + demand.s3PricePerHour
  }

  #refusalOf(owner: string, more: Spending, proposal: Proposal): Refusal | null {
    const { quota, fleetCapacity } = this.#options
    const nodesPrice = fleetCapacity.pricePerHour + priceOfNodes(proposal)
    if (quota.pricePerHour !== undefined && proposal.started.length > 0 && nodesPrice > quota.pricePerHour) {
      const text = `With the nodes for it the cluster costs ${nodesPrice} an hour, and is limited to ${quota.pricePerHour}`
      return { by: 'cluster', error: refused(text) }
    }
    const key = this.#quotaOf(owner)
    // Reservations are only summed if a quota exists, since that visits every job.
    const excess = this.#excess(
      owner,
      {
        quota: isEmpty(quota) ? nothingSpent : this.spent(null),
        key: isEmpty(key) ? nothingSpent : this.spent(owner),
      },
      more,
    )
    return excess === null ? null : { by: excess.by, error: refused(excess.text) }
  }

  #excess(
    owner: string,
    spent: { readonly quota: Spending; readonly key: Spending },
    more: Spending,
  ): { by: Refusal['by']; text: string } | null {
    // The price of the cluster counts whole nodes, not the fractions that jobs reserve.
    const { pricePerHour: _, ...quota } = this.#options.quota
    const ofCluster = excessOf(quota, spent.quota, more)
    if (ofCluster !== null) return { by: 'cluster', text: `Of the cluster, ${ofCluster}` }
    const ofKey = excessOf(this.#quotaOf(owner), spent.key, more)
    return ofKey === null ? null : { by: 'key', text: `Of API key '${owner}', ${ofKey}` }
  }

  #quotaOf(owner: string): Quota {
    return this.#options.keys.quotaOf(owner)
  }

  #priceOf({ shares, started }: Proposal, { s3PricePerHour }: Demand): number {
    const fresh = new Map(started.map(({ node, nodeClass }) => [node, nodeClass]))
    return this.#priceOfShares(shares, fresh) + s3PricePerHour
  }

  #priceOfShares(shares: readonly Share[], fresh: ReadonlyMap<string, NodeClass> = new Map()): number {
    return shares.reduce((total, share) => {
      const nodeClass = fresh.get(share.node) ?? this.#options.nodes.get(share.node)?.class
      return nodeClass === undefined || nodeClass.nodesMax === 0 ? total : total + priceOf(share, nodeClass)
    }, 0)
  }
}

function spendingOf(demand: Demand): Spending {
  return { jobs: 1, bytes: bytesOf(demand), bytesPerSecond: demand.bytesPerSecond, pricePerHour: 0 }
}

function priceOfNodes({ started }: Proposal): number {
  return started.reduce((total, { nodeClass }) => total + nodeClass.pricePerHour, 0)
}

function isEmpty(quota: Quota): boolean {
  return Object.keys(quota).length === 0
}

function refused(reason: string): MayflyError {
  return new MayflyError('RESERVATION_REFUSED', reason)
}
