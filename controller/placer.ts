import { MayflyError } from '../protocol/errors.ts'
import { NODE_REPLACEMENTS_MAX } from '../protocol/limits.ts'
import { type Job, mergeShares, reservedBy, type Share, scaleShares } from './job.ts'
import type { Ledger } from './ledger.ts'
import { fits, type NodeClass, type ResourceVector, subtract, sum } from './node-class.ts'
import type { Nodes } from './nodes.ts'
import { capacityOf, pack } from './packing.ts'

export interface PlacerOptions {
  readonly ledger: Ledger
  readonly nodes: Nodes
  readonly classes: readonly NodeClass[]
}

/** Finds room for jobs, starts the nodes that are missing, and waits until they serve. */
export class Placer {
  readonly #options: PlacerOptions

  constructor(options: PlacerOptions) {
    this.#options = options
  }

  /**
   * Shares that add up to `demand`, on nodes that were started where need be. The caller enters them into the
   * ledger before it awaits anything, so that nobody else is given the same bytes. Throws `RESERVATION_REFUSED`.
   */
  find(demand: ResourceVector): Share[] {
    const { ledger, nodes, classes } = this.#options
    const packing = pack(demand, nodes.spares(ledger.reserved()), nodes.rooms())
    if ('shortage' in packing) {
      const limit = sum(classes.map((nodeClass) => capacityOf({ nodeClass, nodes: nodeClass.nodesMax })))
      throw refusal(demand, `${describe(packing.shortage.free)} are free of the cluster's ${describe(limit)}`)
    }
    return packing.assignments.map(({ on, ramBytes, bytesPerSecond }) => {
      const node = 'node' in on ? on.node : nodes.start(on.newOf).record.id
      return { node, ramBytes, bytesPerSecond }
    })
  }

  /**
   * Waits until every node of the job serves, and puts others in the place of those that never came to be.
   * Rejects with `UNAVAILABLE` where that goes on, or takes until the deadline.
   */
  async secure(job: Job, deadlineMs: number): Promise<Job> {
    const { ledger, nodes } = this.#options
    let secured = job
    for (let replacements = 0; ; replacements++) {
      const ids = secured.shares.map(({ node }) => node)
      await nodes.settled(ids, deadlineMs)
      const dead = ids.filter((id) => !nodes.isAlive(id))
      if (dead.length === 0) return secured
      if (replacements === NODE_REPLACEMENTS_MAX) {
        throw new MayflyError('UNAVAILABLE', `Storage nodes exit as soon as they start: ${dead.join(', ')}`)
      }
      secured = await ledger.change(job.id, { shares: this.replaceDead(secured) })
    }
  }

  /** The job's shares, with those on dead nodes put elsewhere. Throws `RESERVATION_REFUSED`. */
  replaceDead({ shares }: Job): Share[] {
    const living = shares.filter(({ node }) => this.#options.nodes.isAlive(node))
    if (living.length === shares.length) return [...shares]
    const dead = shares.filter((share) => !living.includes(share))
    return mergeShares([...living, ...this.find(sum(dead))])
  }

  /**
   * The job's shares, grown or shrunk to `demand` where they are: slots stay on their nodes, so room on other
   * nodes would not be the job's to use. Throws `RESERVATION_REFUSED`.
   */
  resize(job: Job, demand: ResourceVector): Share[] {
    const { ledger, nodes } = this.#options
    const spares = new Map(nodes.spares(ledger.reserved()).map((spare) => [spare.node, spare]))
    const resized = scaleShares(job.shares, demand)
    const allFit = resized.every((share, index) => {
      const more = subtract(share, job.shares[index] ?? share)
      return fits(more, spares.get(share.node) ?? { ramBytes: 0, bytesPerSecond: 0 })
    })
    if (allFit && resized.length > 0) return resized
    const free = sum(job.shares.flatMap(({ node }) => spares.get(node) ?? []))
    const has = describe(reservedBy(job))
    throw refusal(
      demand,
      `the job has ${has}, and ${describe(free)} are free on its ${job.shares.length} nodes`,
    )
  }
}

function refusal(asked: ResourceVector, why: string): MayflyError {
  return new MayflyError('RESERVATION_REFUSED', `Asked for ${describe(asked)}; ${why}`)
}

function describe({ ramBytes, bytesPerSecond }: ResourceVector): string {
  return `${ramBytes} bytes of RAM and ${bytesPerSecond} bytes/s`
}
