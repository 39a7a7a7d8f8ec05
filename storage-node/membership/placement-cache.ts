import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { ownerOf, type PlacedNode, type Placement } from '../../protocol/model/placement.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { askServerOf } from '../../protocol/transport/job-server.ts'
import type { NodeJob } from '../job/job.ts'

/** Any slot, in a question for a placement. */
const ANY_SLOT = 0xffff
/** Metadata servers asked one after another, each of which has handed the job on to the next. */
const REDIRECTS_MAX = 4

/** Which node owns which slot of a job: asked of metadata once, and again when it turned out to be wrong. */
export class PlacementCache {
  readonly #pool: CallerPool
  readonly #clock: Clock
  readonly #placements = new Map<string, Placement>()

  constructor(options: { pool: CallerPool; clock: Clock }) {
    this.#pool = options.pool
    this.#clock = options.clock
  }

  /** Null while nobody owns the slot. `slotOf` finds it in a placement of so many slots. */
  async ownerOf(job: NodeJob, slotOf: (slots: number) => number): Promise<PlacedNode | null> {
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

  /** Of the buckets that the job has now, by name. */
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
   * The job may have been handed on to a metadata server that has told this node nothing yet: that is no concern of whoever asks for
   * an object, so the server is looked for as a client does.
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
