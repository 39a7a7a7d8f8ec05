import type { Job } from '../records/job.ts'
import { add, nothing, type ResourceVector, subtract } from '../sizing/node-class.ts'

interface Account {
  readonly held: ResourceVector
  /** Number of jobs with a share on the node. */
  readonly shares: number
}

/**
 * Reservations of living jobs by node, updated with each change so that a registration need not visit every job. All amounts are integers,
 * so additions and subtractions cancel exactly.
 */
export class ReservationTotals {
  readonly #byNode = new Map<string, Account>()

  /** Applies the change of one job; null means that it does not exist. */
  change(before: Job | null, after: Job | null): void {
    for (const share of livingShares(after)) this.#book(share.node, { held: share, shares: 1 })
    for (const share of livingShares(before)) this.#book(share.node, { held: share, shares: -1 })
  }

  /** Contains each node with a share. */
  reserved(): Map<string, ResourceVector> {
    return new Map([...this.#byNode].map(([node, { held }]) => [node, held]))
  }

  reservedOn(node: string): ResourceVector {
    return this.#byNode.get(node)?.held ?? nothing
  }

  isReserved(node: string): boolean {
    return this.#byNode.has(node)
  }

  #book(node: string, { held, shares }: Account): void {
    const before = this.#byNode.get(node) ?? { held: nothing, shares: 0 }
    const count = before.shares + shares
    if (count === 0) this.#byNode.delete(node)
    else {
      const total = shares > 0 ? add(before.held, held) : subtract(before.held, held)
      this.#byNode.set(node, { held: total, shares: count })
    }
  }
}

function livingShares(job: Job | null): Job['shares'] {
  return job === null || job.state === 'ended' ? [] : job.shares
}
