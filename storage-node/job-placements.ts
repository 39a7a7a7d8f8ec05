import type { CallerPool } from '../protocol/caller-pool.ts'
import { metadataOperations } from '../protocol/control-operations.ts'
import { CONTROL_CALL_MS } from '../protocol/limits.ts'
import { ownerOf, type PlacedNode, type Placement } from '../protocol/placement.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { JobSpace } from './job-space.ts'

/** Any slot, in a question for a placement. */
const ANY_SLOT = 0xffff

/** Which node owns which slot of a job: asked of metadata once, and again when it turned out to be wrong. */
export class JobPlacements {
  readonly #pool: CallerPool
  readonly #clock: Clock
  readonly #placements = new Map<string, Placement>()

  constructor(options: { pool: CallerPool; clock: Clock }) {
    this.#pool = options.pool
    this.#clock = options.clock
  }

  /** Null while nobody owns the slot. `slotOf` finds it in a placement of so many slots. */
  async ownerOf(job: JobSpace, slotOf: (slots: number) => number): Promise<PlacedNode | null> {
    const placement = this.#placements.get(job.id) ?? (await this.#fetch(job))
    return ownerOf(placement, slotOf(placement.owners.length))
  }

  forget(job: string): void {
    this.#placements.delete(job)
  }

  /** Forgets the jobs that `isKnown` does not know. */
  forgetOthers(isKnown: (job: string) => boolean): void {
    for (const id of this.#placements.keys()) if (!isKnown(id)) this.#placements.delete(id)
  }

  async #fetch(job: JobSpace): Promise<Placement> {
    const caller = await this.#pool.to(job.metadata)
    const request = { job: job.id, known: 0, slot: ANY_SLOT }
    const deadlineMs = this.#clock.monotonicMs() + CONTROL_CALL_MS
    const { head } = await caller.call(metadataOperations.placement, request, { deadlineMs })
    this.#placements.set(job.id, head)
    return head
  }
}
