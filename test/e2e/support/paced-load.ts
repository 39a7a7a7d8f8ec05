import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../../../client/job.ts'

const OBJECT_BYTES = 64 * 1024
const KEYS = 64

/** Functions that put and get at a rate until they are stopped. */
export class PacedLoad {
  calls = 0
  /** Puts and gets per second. */
  rate: number
  readonly failures: unknown[] = []
  readonly #done: Promise<unknown>
  #running = true

  constructor(jobs: readonly Job[], rate: number) {
    this.rate = rate
    this.#done = Promise.all(jobs.map((job, index) => this.#run(job, { index, of: jobs.length })))
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #run(job: Job, { index, of }: { index: number; of: number }): Promise<void> {
    const startedMs = performance.now()
    let dueMs = 0
    for (let call = 0; this.#running; call++) {
      dueMs += (2_000 * of) / this.rate
      await sleep(Math.max(0, startedMs + dueMs - performance.now()))
      dueMs = Math.max(dueMs, performance.now() - startedMs - 100)
      const key = `k/${index}/${call % KEYS}`
      const value = Buffer.alloc(OBJECT_BYTES, `${call} `)
      try {
        await job.put(key, value)
        if (!(await job.get(key)).equals(value)) this.failures.push(`a wrong answer for ${key}`)
      } catch (error) {
        this.failures.push(error)
      }
      this.calls += 2
    }
  }
}
