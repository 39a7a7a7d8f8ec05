import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { ownerOf, type PlacedNode, type Placement } from '../../protocol/model/placement.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { askServerOf } from '../../protocol/transport/job-server.ts'
import type { NodeJob } from '../job/job.ts'

/** Requests a placement regardless of slot. */
const ANY_SLOT = 0xffff
/** Metadata servers that one request follows from transfer to transfer. */
const REDIRECTS_MAX = 4

/** Placements of jobs, fetched from metadata on first use and after `forget`. */
export class PlacementCache {
  readonly #pool: CallerPool
  readonly #clock: Clock
  readonly #placements = new Map<string, Placement>()

  constructor(options: { pool: CallerPool; clock: Clock }) {
    this.#pool = options.pool
    this.#clock = options.clock
  }

  /** Null while the slot has no owner. `slotOf` maps the slot count of the placement to a slot. */
  async ownerOf(job: NodeJob, slotOf: (slots: number) => number): Promise<PlacedNode | null> {
    const placement = this.#placements.get(job.id) ?? (await this.#fetch(job))
    return ownerOf(placement, slotOf(placement.owners.length))
  }

  forget(job: string): void {
    this.#placements.delete(job)
  }

  /** Forgets all jobs for which `isKnown` is false. */
  forgetOthers(isKnown: (job: string) => boolean): void {
    for (const id of this.#placements.keys()) if (!isKnown(id)) this.#placements.delete(id)
  }

  /** Ids of the job's buckets, by name. */
  async bucketIds(job: Pick<NodeJob, 'id' | 'metadata'>): Promise<ReadonlyMap<string, number>> {
    const ask = { operation: metadataOperations.buckets, request: { job: job.id } }
    return new Map((await this.#ask(job, ask)).map(({ id, name }) => [name, id]))
  }

  async #fetch(job: NodeJob): Promise<Placement> {
    const request = { job: job.id, known: 0, slot: ANY_SLOT }
    const placement = await this.#ask(job, { operation: metadataOperations.placement, request })
    this.#placements.set(job.id, placement)
    return placement
  }

  /**
   * Follows the job to its current metadata server, as a client does: it may have been transferred without
   * this node knowing.
   */
  async #ask<Request, Reply>(
    job: Pick<NodeJob, 'id' | 'metadata'>,
    ask: { operation: Operation<Request, Reply>; request: Request },
  ): Promise<Reply> {
    const bounds = { deadlineMs: this.#clock.monotonicMs() + CONTROL_CALL_MS }
    let server = job.metadata
    for (let asked = 0; asked < REDIRECTS_MAX; asked++) {
      const caller = await this.#pool.to(server)
      const answer = await askServerOf(job.id, { caller, bounds }, ask)
      if ('reply' in answer) return answer.reply
      server = answer.movedTo
    }
    throw new MayflyError('UNAVAILABLE', 'The job goes from one metadata server to another')
  }
}
