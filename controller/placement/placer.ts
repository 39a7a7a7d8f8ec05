import { isError, MayflyError } from '../../protocol/errors.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { NODE_REPLACEMENTS_MAX } from '../limits.ts'
import type { FleetCapacity } from '../nodes/capacity.ts'
import type { NodeLifecycle } from '../nodes/node-lifecycle.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import type { StartFailures } from '../nodes/start-failures.ts'
import { type Fleet, freeOf, type Plan, packAll } from '../packing/packing.ts'
import { cancelLeaving, type Job, mergeShares, missingOf, remainderOf, type Share } from '../records/job.ts'
import { least, nothing, type ResourceVector, sum } from '../sizing/node-class.ts'
import { resizeShares } from './resize-shares.ts'

export interface PlacerOptions {
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly fleetCapacity: FleetCapacity
  readonly nodeLifecycle: NodeLifecycle
  readonly startFailures: StartFailures
}

/**
 * Where the shares of a draining node may go: to any node, including new ones, or only to nodes with reservations, so that the number of
 * nodes in use falls.
 */
export type DrainTarget = 'any' | 'busy'

/** Shares for a job and the nodes to start for them. Nothing has been done yet. */
export interface Proposal {
  readonly shares: readonly Share[]
  readonly started: Plan['started']
}

/** Finds capacity for jobs, starts missing nodes, and waits until they serve. */
export class Placer {
  readonly #options: PlacerOptions

  constructor(options: PlacerOptions) {
    this.#options = options
  }

  /** Shares that add up to `demand`, or a `RESERVATION_REFUSED` that says what is free. */
  propose(demand: ResourceVector): Proposal | MayflyError {
    return this.#propose(demand, this.fleet())
  }

  /** As `propose`, on a cluster without nodes and jobs. Throws `RESERVATION_REFUSED` if it does not fit even there. */
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
   * Starts the nodes of a proposal. The caller enters its shares into the ledger before it awaits anything, so that no bytes are assigned
   * twice.
   */
  start({ started }: Pick<Proposal, 'started'>): void {
    for (const { node, nodeClass } of started)
      this.#options.nodeLifecycle.start(nodeClass, node, 'a job needs more than the nodes have free')
  }

  /**
   * New shares for every job on `node`: an equal share on nodes of `onto`, while the share on `node` stays counted until it is empty. All
   * jobs or none. Throws `RESERVATION_REFUSED`. As for `start`, the caller enters the shares at once.
   */
  proposeMoveOff(node: string, onto: DrainTarget): Map<string, Share[]> {
    const leaving = this.#options.ledger
      .living()
      .filter(({ state }) => state !== 'ending')
      .flatMap(({ id, shares }) => {
        const share = shares.find((each) => each.node === node)
        return share === undefined ? [] : [{ id, shares, share }]
      })
      // Largest first, which leaves the fewest gaps.
      .sort((a, b) => b.share.ramBytes - a.share.ramBytes)
    const found = this.#findAll(
      leaving.map(({ share }) => remainderOf(share)),
      onto === 'any' ? this.fleet() : this.#busyFleet(),
    )
    return new Map(leaving.map(({ id, shares }, i) => [id, mergeShares([...shares, ...(found[i] ?? [])])]))
  }

  /**
   * Waits until every node of the job serves, and replaces nodes that die meanwhile. Resolves with the resulting job. Rejects with
   * `UNAVAILABLE` if nodes keep dying or at the deadline.
   */
  async awaitServing(id: string, deadlineMs: number): Promise<Job> {
    const { ledger, nodes } = this.#options
    for (let replacements = 0; ; ) {
      const completed = this.#replaceDead(ledger.require(id))
      if (completed !== null) await ledger.change(id, { shares: completed })
      const { shares } = ledger.require(id)
      const ids = shares.map(({ node }) => node)
      await this.#settled(ids, deadlineMs)
      const dead = ids.filter((node) => !nodes.isAlive(node))
      if (dead.length === 0) {
        // A drain may have given the job nodes that are still starting.
        const job = ledger.require(id)
        if (job.shares.every(({ node }) => nodes.serves(node))) return job
      } else if (++replacements > NODE_REPLACEMENTS_MAX) {
        throw new MayflyError('UNAVAILABLE', this.#whyNotStarted(dead))
      }
    }
  }

  /** As `settled` of the nodes. Rejects at once if the back-off of their class is longer than the deadline. */
  async #settled(ids: readonly string[], deadlineMs: number): Promise<void> {
    const { nodes, nodeLifecycle } = this.#options
    const held = ids.filter((node) => nodeLifecycle.isHeldUntil(node, deadlineMs))
    if (held.length > 0) throw new MayflyError('UNAVAILABLE', this.#whyNotStarted(held))
    try {
      await nodes.settled(ids, deadlineMs)
    } catch (error) {
      const [starting] = ids.filter((node) => nodes.get(node)?.record.state === 'starting')
      if (starting === undefined || !isError(error, 'UNAVAILABLE')) throw error
      throw new MayflyError('UNAVAILABLE', `${error.reason}${this.#lastFailure(starting)}`)
    }
  }

  #whyNotStarted(nodes: readonly string[]): string {
    return `Storage nodes exit as soon as they start: ${nodes.join(', ')}${this.#lastFailure(nodes.at(-1) ?? '')}`
  }

  /** Why a node of the same class did not start; empty if the last one did. */
  #lastFailure(node: string): string {
    const { nodes, startFailures } = this.#options
    const reason = startFailures.reasonOf(nodes.get(node)?.record.class ?? '')
    return reason === null ? '' : ` (${reason})`
  }

  /**
   * The job's shares grown or shrunk to `demand`: on its nodes as far as they fit, the rest on others. Shares on draining nodes stay as
   * they are. Throws `RESERVATION_REFUSED`.
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

  /** The shares without dead nodes and with replacements for what is missing; null if nothing is. */
  #replaceDead(job: Job): Share[] | null {
    const { nodes } = this.#options
    const living = job.shares.filter(({ node }) => nodes.isAlive(node))
    const open = living.filter(({ node }) => nodes.isOpen(node))
    const dead = job.shares.filter((share) => !living.includes(share))
    // Bytes on their way to a dead node are still on their source or lost, so nothing moves any more.
    const staying = dead.length === 0 ? living : cancelLeaving(living)
    // Shares of a node that died while draining were replaced when the drain began, so nothing is missing. A job that found no replacement
    // before continues without it.
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

  /** The fleet to pack into. */
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
