import type { CapacityAnswer, CapacityRequest } from '../../protocol/operations/reports.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { NodeJob } from '../job/job.ts'
import { CAPACITY_ASK_MS, CAPACITY_LIMITED_MS } from '../tiers/limits.ts'

interface State {
  /** Until when the controller gives it no more, in monotonic ms. */
  limitedUntilMs: number
  waitingBytes: number
  /** Told whether there may be more room than before. */
  waiting: ((mayFit: boolean) => void)[]
}

export interface CapacityRequestsOptions {
  readonly clock: Clock
  readonly background: Background
  /** Asks the controller; rejects where it does not answer. */
  readonly ask: (request: CapacityRequest) => Promise<CapacityAnswer>
  /** What a job uses here. */
  readonly bytesOf: (job: NodeJob) => CapacityRequest['jobs'][number]['bytes']
}

/**
 * Asks the controller for more bytes for jobs that fill up: once they are above `GROWTH_WATERMARK`, and for as long as puts of them wait. What it
 * grants comes from metadata, as every budget does.
 */
export class CapacityRequests {
  readonly #options: CapacityRequestsOptions
  readonly #states = new WeakMap<NodeJob, State>()
  readonly #wanting = new Set<NodeJob>()
  #running = false

  constructor(options: CapacityRequestsOptions) {
    this.#options = options
  }

  /** The job fills up: more is wanted before it is full. */
  want(job: NodeJob): void {
    if (this.#isLimited(this.#stateOf(job))) return
    this.#wanting.add(job)
    if (!this.#running) void this.#options.background.once(['askCapacity', 'rounds'], () => this.#run())
  }

  /** Resolves with true once the job may have more than before, and with false where it gets no more. */
  async wait(job: NodeJob, bytes: number): Promise<boolean> {
    const state = this.#stateOf(job)
    if (this.#isLimited(state)) return false
    state.waitingBytes += bytes
    const told = new Promise<boolean>((resolve) => state.waiting.push(resolve))
    this.want(job)
    return await told.finally(() => {
      state.waitingBytes -= bytes
    })
  }

  /** The job's budget has changed, or it has ended. */
  changed(job: NodeJob): void {
    const state = this.#states.get(job)
    if (state === undefined) return
    state.limitedUntilMs = 0
    tellAll(state, true)
  }

  async #run(): Promise<void> {
    const { clock, ask, bytesOf, background } = this.#options
    this.#running = true
    // Jobs that fill up at the same time are asked for together, and whoever is in the middle of a put goes on first.
    await sleep(clock, 0)
    while (this.#wanting.size > 0) {
      const asked = [...this.#wanting].filter((job) => !job.ended)
      this.#wanting.clear()
      const jobs = asked.map((job) => ({
        id: job.id,
        bytes: bytesOf(job),
        waitingBytes: this.#stateOf(job).waitingBytes,
      }))
      await background.attempt(['askCapacity', ''], async () => {
        const limited = new Set((await ask({ jobs })).limited)
        for (const job of asked) if (limited.has(job.id)) this.#limit(job)
      })
      await sleep(clock, CAPACITY_ASK_MS)
      for (const job of asked) if (!job.ended && this.#stateOf(job).waiting.length > 0) this.#wanting.add(job)
    }
    this.#running = false
  }

  #limit(job: NodeJob): void {
    const state = this.#stateOf(job)
    state.limitedUntilMs = this.#options.clock.monotonicMs() + CAPACITY_LIMITED_MS
    tellAll(state, false)
  }

  #isLimited({ limitedUntilMs }: State): boolean {
    return limitedUntilMs > this.#options.clock.monotonicMs()
  }

  #stateOf(job: NodeJob): State {
    let state = this.#states.get(job)
    if (state === undefined) {
      state = { limitedUntilMs: 0, waitingBytes: 0, waiting: [] }
      this.#states.set(job, state)
    }
    return state
  }
}

function tellAll(state: State, mayFit: boolean): void {
  const { waiting } = state
  state.waiting = []
  for (const tell of waiting) tell(mayFit)
}
