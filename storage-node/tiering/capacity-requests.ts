import type { CapacityAnswer, CapacityRequest } from '../../protocol/operations/reports.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { NodeJob } from '../job/job.ts'
import { CAPACITY_ASK_MS, CAPACITY_LIMITED_MS } from '../tiers/limits.ts'

interface State {
  /** Until when the controller refuses it more, monotonic ms. */
  limitedUntilMs: number
  waitingBytes: number
  /** Told whether there may be more room than before. */
  readonly waiting: Set<(mayFit: boolean) => void>
}

export interface CapacityRequestsOptions {
  readonly clock: Clock
  readonly background: Background
  /** Asks the controller; rejects if it does not answer. */
  readonly ask: (request: CapacityRequest) => Promise<CapacityAnswer>
  /** Bytes that a job uses here, by tier. */
  readonly bytesOf: (job: NodeJob) => CapacityRequest['jobs'][number]['bytes']
}

/**
 * Asks the controller for more capacity for jobs above `GROWTH_WATERMARK`, and again while their puts wait.
 * Granted capacity arrives from metadata as a new budget.
 */
export class CapacityRequests {
  readonly #options: CapacityRequestsOptions
  readonly #states = new WeakMap<NodeJob, State>()
  readonly #wanting = new Set<NodeJob>()
  #running = false

  constructor(options: CapacityRequestsOptions) {
    this.#options = options
  }

  /** Requests more capacity before the job is full. */
  want(job: NodeJob): void {
    if (this.#isLimited(this.#stateOf(job))) return
    this.#wanting.add(job)
    if (!this.#running) void this.#options.background.once(['askCapacity', 'rounds'], () => this.#run())
  }

  /**
   * `told` resolves with true once the job may have more capacity than before, and with false if it gets no more. A caller that stops waiting calls `leave`, so
   * that nothing is requested on its behalf.
   */
  wait(job: NodeJob, bytes: number): { readonly told: Promise<boolean>; leave(): void } {
    const state = this.#stateOf(job)
    if (this.#isLimited(state)) return { told: Promise.resolve(false), leave: () => undefined }
    let tell: (mayFit: boolean) => void = () => undefined
    const told = new Promise<boolean>((resolve) => {
      tell = resolve
    })
    state.waitingBytes += bytes
    state.waiting.add(tell)
    this.want(job)
    let isHere = true
    const leave = (): void => {
      if (isHere) state.waitingBytes -= bytes
      isHere = false
      state.waiting.delete(tell)
    }
    return { told, leave }
  }

  /** The job's budget has changed, or the job has ended. */
  changed(job: NodeJob): void {
    const state = this.#states.get(job)
    if (state === undefined) return
    state.limitedUntilMs = 0
    tellAll(state, true)
  }

  async #run(): Promise<void> {
    const { clock, ask, bytesOf, background } = this.#options
    this.#running = true
    // Deferred by one tick: batches jobs that fill up together, and lets a running put finish.
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
      for (const job of asked) if (!job.ended && this.#stateOf(job).waiting.size > 0) this.#wanting.add(job)
    }
    // No caller waits any more, so the last failure is irrelevant.
    background.succeeded(['askCapacity', ''])
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
      state = { limitedUntilMs: 0, waitingBytes: 0, waiting: new Set() }
      this.#states.set(job, state)
    }
    return state
  }
}

function tellAll({ waiting }: State, mayFit: boolean): void {
  const told = [...waiting]
  waiting.clear()
  for (const tell of told) tell(mayFit)
}
