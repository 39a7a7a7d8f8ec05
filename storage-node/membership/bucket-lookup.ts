import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { heartbeatOperations } from '../../protocol/operations/plane-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import type { NodeJob } from '../job/job.ts'

/** Asks metadata about unknown buckets, with one call at a time for each job. */
export class BucketLookup {
  readonly #pool: CallerPool
  readonly #clock: Clock
  readonly #asking = new Set<NodeJob>()

  constructor(options: { pool: CallerPool; clock: Clock }) {
    this.#pool = options.pool
    this.#clock = options.clock
  }

  /** Never rejects: callers ask again. */
  async ask(job: NodeJob): Promise<void> {
    if (this.#asking.has(job)) return
    this.#asking.add(job)
    const beganMs = this.#clock.monotonicMs()
    try {
      const caller = await this.#pool.to(job.metadata)
      const deadlineMs = beganMs + CONTROL_CALL_MS
      const { head } = await caller.call(heartbeatOperations.jobBuckets, { job: job.id }, { deadlineMs })
      job.applyBuckets(head)
      job.buckets.confirm(beganMs)
    } catch (error) {
      if (!(error instanceof MayflyError)) throw error
    } finally {
      this.#asking.delete(job)
    }
  }
}
