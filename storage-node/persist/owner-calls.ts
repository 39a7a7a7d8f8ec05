import { isError, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { slotOf } from '../../protocol/model/hash.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import type { NodeJob } from '../job/job.ts'
import type { PlacementCache } from '../membership/placement-cache.ts'

interface OwnerCallsOptions {
  /** Id of this node. */
  readonly self: string
  readonly placements: PlacementCache
  readonly pool: CallerPool
  readonly clock: Clock
}

/** Runs operations on the node that owns a slot, be it this one. */
export class OwnerCalls {
  readonly #options: OwnerCallsOptions

  constructor(options: OwnerCallsOptions) {
    this.#options = options
  }

  /**
   * Runs `local` if this node owns the slot of the hash, else `remote`. Rejects with `UNAVAILABLE` while the
   * slot has no owner, or its owner does not answer: the deadline is not that of the client, which may have more
   * time. After any failure the placement is fetched again.
   */
  async run<Result>(
    job: NodeJob,
    hash: number,
    local: () => Promise<Result>,
    remote: (caller: Caller, deadlineMs: number) => Promise<Result>,
  ): Promise<Result> {
    const { self, placements, pool, clock } = this.#options
    try {
      const owner = await placements.ownerOf(job, (slots) => slotOf(hash, slots))
      if (owner === null) throw new MayflyError('UNAVAILABLE', 'A slot of the object has no owner yet')
      if (owner.id === self) return await local()
      return await remote(await pool.to(owner.address), clock.monotonicMs() + CONTROL_CALL_MS)
    } catch (error) {
      placements.forget(job.id)
      if (!isError(error, 'DEADLINE_EXCEEDED', 'CONNECTION_LOST')) throw error
      throw new MayflyError('UNAVAILABLE', `Another node of the job does not answer: ${error.reason}`, {
        cause: error,
      })
    }
  }
}
