import type { Clock } from '../../protocol/runtime.ts'
import type { Pace } from '../../service/server/intake.ts'
import { TokenBuckets } from '../budget/token-bucket.ts'
import { RATE_RESUMES_MAX, RATE_TICK_MS } from '../limits.ts'
import type { NodeJob } from './job.ts'

/** Connections of one job that are paused. */
interface Waiting {
  readonly job: NodeJob
  readonly resume: (() => void)[]
}

/**
 * Slows jobs above their rate by not reading from their connections for a while. TCP back-pressure holds up
 * their clients; no call fails.
 */
export class JobThrottle implements Pace {
  readonly #jobs: ReadonlyMap<string, NodeJob>
  readonly #clock: Clock
  readonly #rates: TokenBuckets
  /** Round robin over jobs. */
  readonly #waiting = new Map<string, Waiting>()
  #ticking = false

  constructor(
    jobs: ReadonlyMap<string, NodeJob>,
    { bytesPerSecond, clock }: { bytesPerSecond: number; clock: Clock },
  ) {
    this.#jobs = jobs
    this.#clock = clock
    this.#rates = new TokenBuckets(bytesPerSecond, clock.monotonicMs())
  }

  holds(id: string, cpuMs: number, resume: () => void): boolean {
    const job = this.#jobs.get(id)
    if (job === undefined) return false
    const nowMs = this.#clock.monotonicMs()
    const requests = job.takeUnmeteredRequests()
    this.#rates.spend(job.rate, this.#rates.costOf(requests, job.takeUnmeteredBytes(), cpuMs), nowMs)
    if (this.#rates.waitMs(job.rate, nowMs) === 0) return false
    const waiting = this.#waiting.get(id) ?? { job, resume: [] }
    waiting.resume.push(resume)
    this.#waiting.set(id, waiting)
    this.#tick()
    return true
  }

  /** One timer for all paused jobs. */
  #tick(): void {
    if (this.#ticking || this.#waiting.size === 0) return
    this.#ticking = true
    this.#clock.after(RATE_TICK_MS, () => {
      this.#ticking = false
      this.#resume()
      this.#tick()
    })
  }

  /** Resumes a few connections of each job that may go on, then moves the job to the end. */
  #resume(): void {
    for (const [id, waiting] of [...this.#waiting]) {
      const gone = this.#jobs.get(id) !== waiting.job
      if (!gone && this.#rates.waitMs(waiting.job.rate, this.#clock.monotonicMs()) > 0) continue
      const resumed = waiting.resume.splice(0, gone ? waiting.resume.length : RATE_RESUMES_MAX)
      this.#waiting.delete(id)
      if (waiting.resume.length > 0) this.#waiting.set(id, waiting)
      for (const resume of resumed) resume()
    }
  }
}
