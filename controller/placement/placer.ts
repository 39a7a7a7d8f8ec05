import { MayflyError } from '../../protocol/errors.ts'
import { NODE_REPLACEMENTS_MAX } from '../../protocol/limits.ts'
import type { FleetCapacity } from '../nodes/capacity.ts'
import type { NodeLifecycle } from '../nodes/node-lifecycle.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import { type Fleet, freeOf, type Plan, packAll } from '../packing/packing.ts'
import { cancelLeaving, type Job, mergeShares, missingOf, remainderOf, type Share } from '../records/job.ts'
import { least, nothing, type ResourceVector, sum } from '../sizing/node-class.ts'
import type { Ledger } from './ledger.ts'
import { resizeShares } from './resize-shares.ts'

export interface PlacerOptions {
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly fleetCapacity: FleetCapacity
  readonly nodeLifecycle: NodeLifecycle
}

/**
 * Where the jobs of a node that is emptied may go: to any node, new ones too; or only to nodes that other jobs have reserved,
 * so that one node fewer is in use afterwards.
 */
export type DrainTarget = 'any' | 'busy'

/** Where a job would go, and the nodes that would have to be started for it. Nothing has happened yet. */
export interface Proposal {
  readonly shares: readonly Share[]
  readonly started: Plan['started']
}

/** Finds room for jobs, starts the nodes that are missing, and waits until they serve. */
export class Placer {
  readonly #options: PlacerOptions

  constructor(options: PlacerOptions) {
    this.#options = options
  }

  /** Shares that add up to `demand`; or the `RESERVATION_REFUSED` that says what is free. */
  propose(demand: ResourceVector): Proposal | MayflyError {
    return this.#propose(demand, this.fleet())
  }

  /** The same if there were no node and no job. Throws `RESERVATION_REFUSED` for what then would not fit either. */
  proposeOnEmpty(demand: ResourceVector): Proposal {
    const proposal = this.#propose(demand, {
      spares: [],
      rooms: this.#options.fleetCapacity.emptyRooms(),
      mix: nothing,
    })
    if (proposal instanceof MayflyError) throw proposal
    return proposal
  }

  /**
   * Starts the nodes of a proposal. The caller enters its shares into the ledger before it awaits anything, so that
   * nobody else is given the same bytes.
   */
  start({ started }: Pick<Proposal, 'started'>): void {
    for (const { node, nodeClass } of started) this.#options.nodeLifecycle.start(nodeClass, node)
  }

  /**
   * The shares of every job with a part on `node`, with as much again on nodes of `onto`; what they have on `node` stays
   * counted until it is empty. For all jobs or for none. Throws `RESERVATION_REFUSED`; as for `start`, the caller enters
   * them at once.
   */
  proposeMoveOff(node: string, onto: DrainTarget): Map<string, Share[]> {
    const leaving = this.#options.ledger
      .living()
      .filter(({ state }) => state !== 'ending')
      .flatMap(({ id, shares }) => {
        const share = shares.find((each) => each.node === node)
        return share === undefined ? [] : [{ id, shares, share }]
      })
      // The largest first, which leaves the fewest gaps.
      .sort((a, b) => b.share.ramBytes - a.share.ramBytes)
    const found = this.#findAll(
      leaving.map(({ share }) => remainderOf(share)),
      onto === 'any' ? this.fleet() : this.#busyFleet(),
    )
    return new Map(leaving.map(({ id, shares }, i) => [id, mergeShares([...shares, ...(found[i] ?? [])])]))
  }

  /**
   * Waits until every node of the job serves, and puts others in the place of those that died. Resolves with the
   * job as it then is; rejects with `UNAVAILABLE` where nodes go on dying, or it takes until the deadline.
   */
  async awaitServing(id: string, deadlineMs: number): Promise<Job> {
    const { ledger, nodes } = this.#options
    for (let replacements = 0; ; ) {
      const completed = this.#replaceDead(ledger.require(id))
      if (completed !== null) await ledger.change(id, { shares: completed })
      const { shares } = ledger.require(id)
      const ids = shares.map(({ node }) => node)
      await nodes.settled(ids, deadlineMs)
      const dead = ids.filter((node) => !nodes.isAlive(node))
      if (dead.length === 0) {
        // A drain that began meanwhile has given the job nodes that start.
        const job = ledger.require(id)
        if (job.shares.every(({ node }) => nodes.serves(node))) return job
      } else if (++replacements > NODE_REPLACEMENTS_MAX) {
        throw new MayflyError('UNAVAILABLE', `Storage nodes exit as soon as they start: ${dead.join(', ')}`)
      }
    }
  }

  /**
   * The job's shares, grown or shrunk to `demand`: where they are as far as that goes, and on other nodes for the
   * rest. What it has on a node that drains stays beside them. Throws `RESERVATION_REFUSED`.
   */
  proposeResize(job: Job, demand: ResourceVector): Proposal {
    const { nodes, fleetCapacity, nodeLifecycle } = this.#options
    const open = cancelLeaving(job.shares.filter(({ node }) => nodes.isOpen(node)))
    const leaving = job.shares.filter(({ node }) => nodes.isAlive(node) && !nodes.isOpen(node))
    const resized = resizeShares(
      { open, demand },
      () => this.fleet(),
      () => nodeLifecycle.newId(),
    )
    if (resized === null) {
      const into = this.fleet()
      throw refusal(demand, {
        has: sum(open),
        free: freeOf(into.spares, into.rooms),
        limit: fleetCapacity.limit,
      })
    }
    return { shares: [...resized.shares, ...leaving], started: resized.started }
  }

  /** The shares with what the job lacks on nodes that take shares, and without dead nodes; null if all is well. */
  #replaceDead(job: Job): Share[] | null {
    const { nodes } = this.#options
    const living = job.shares.filter(({ node }) => nodes.isAlive(node))
    const open = living.filter(({ node }) => nodes.isOpen(node))
    const dead = job.shares.filter((share) => !living.includes(share))
    // What was on its way to a node that died is still where it was, or lost: either way nothing more leaves.
    const staying = dead.length === 0 ? living : cancelLeaving(living)
    // What a node held that died while it drained has been found elsewhere before, so that nothing is missing. And
    // a job that lost something for which there was no room goes on without it.
    const missing = missingOf(job, open)
    const due = open.length === 0 ? missing : least(missing, sum(dead))
    if (due.ramBytes > 0) return mergeShares([...staying, ...this.#findAll([due], this.fleet()).flat()])
    return living.length === job.shares.length ? null : staying
  }

  #busyFleet(): Fleet {
    const { spares, mix } = this.fleet()
    return { spares: spares.filter(({ node }) => this.#options.ledger.isReserved(node)), rooms: [], mix }
  }

  #findAll(demands: readonly ResourceVector[], into: Fleet): Share[][] {
    const { fleetCapacity, nodeLifecycle } = this.#options
    const plan = packAll(demands, into, () => nodeLifecycle.newId())
    if ('shortage' in plan)
      throw refusal(sum(demands), { free: plan.shortage.free, limit: fleetCapacity.limit })
    this.start(plan)
    return plan.shares.map((shares) => [...shares])
  }

  #propose(demand: ResourceVector, into: Fleet): Proposal | MayflyError {
    const { fleetCapacity, nodeLifecycle } = this.#options
    const plan = packAll([demand], into, () => nodeLifecycle.newId())
    if (!('shortage' in plan)) return { shares: plan.shares.flat(), started: plan.started }
    const { spares, rooms } = this.fleet()
    return refusal(demand, { free: freeOf(spares, rooms), limit: fleetCapacity.limit })
  }

  /** What there is to pack into. */
  fleet(): Fleet {
    const { ledger, fleetCapacity } = this.#options
    const reserved = ledger.reserved()
    return {
      spares: fleetCapacity.spares(reserved),
      rooms: fleetCapacity.rooms(reserved),
      mix: sum(reserved.values()),
    }
  }
}

function refusal(
  asked: ResourceVector,
  of: { has?: ResourceVector; free: ResourceVector; limit: ResourceVector },
): MayflyError {
  const describe = ({ ramBytes, ssdBytes, bytesPerSecond }: ResourceVector): string => {
    const ssd = of.limit.ssdBytes === 0 ? '' : `, ${ssdBytes} of SSD`
    return `${ramBytes} bytes of RAM${ssd} and ${bytesPerSecond} bytes/s`
  }
  const has = of.has === undefined ? '' : `the job has ${describe(of.has)}, and `
  return new MayflyError(
    'RESERVATION_REFUSED',
    `Asked for ${describe(asked)}; ${has}${describe(of.free)} are free of the cluster's ${describe(of.limit)}`,
  )
}
