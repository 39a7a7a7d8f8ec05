import { setTimeout as sleep } from 'node:timers/promises'
import type { Mayfly } from '../../../client/connect.ts'
import type { MayflyError } from '../../../client/index.ts'
import type { RegisteredJob } from '../../../client/registration.ts'

/** Long enough that a call is repeated, short enough that one ends while the database is away. */
const DEADLINE_MS = 3_000
/** After a take-over each job is compared with what metadata has, so there should not be thousands. */
const PAUSE_MS = 200

/** A decision that somebody asked for. */
interface Decision {
  readonly what: 'job' | 'bucket'
  readonly name: string
  /** `ok` if it was acknowledged. */
  readonly code: string
  readonly message: string
  readonly returnedMs: number
}

/** Registers jobs, a decision of the controller, and creates buckets, one of metadata, until it is stopped. */
export class Decisions {
  readonly made: Decision[] = []
  readonly #mayfly: Mayfly
  readonly #job: RegisteredJob
  readonly #lanes: Promise<void>[]
  #running = true

  constructor(mayfly: Mayfly, job: RegisteredJob) {
    this.#mayfly = mayfly
    this.#job = job
    this.#lanes = [
      this.#run('job', async (name) => {
        const job = await mayfly.registerJob(name, { capacityBytes: 2 ** 16 }, { deadlineMs: DEADLINE_MS })
        await job.close()
      }),
      this.#run('bucket', (name) => this.#job.createBucket(name, { deadlineMs: DEADLINE_MS })),
    ]
  }

  /** Those that were refused or got no answer, and not because the database was away. */
  get wrong(): Decision[] {
    return this.made.filter(({ code }) => !['ok', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'].includes(code))
  }

  get failed(): Decision[] {
    return this.made.filter(({ code }) => code !== 'ok')
  }

  /** Resolves when one of each kind has been acknowledged from now on, with the ms that it took. */
  async untilMade(): Promise<number> {
    const beganMs = performance.now()
    const isMade = (kind: Decision['what']): boolean =>
      this.made.some(
        ({ what, code, returnedMs }) => what === kind && code === 'ok' && returnedMs > beganMs + PAUSE_MS,
      )
    while (!isMade('job') || !isMade('bucket')) await sleep(20)
    return performance.now() - beganMs
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#lanes)
  }

  /** Names of acknowledged jobs and buckets that are not there, or are there twice. */
  async missing(): Promise<string[]> {
    const acknowledged = this.made.filter(({ code }) => code === 'ok')
    const jobs = (await this.#mayfly.jobs()).filter(({ state }) => state === 'active')
    const buckets = await this.#job.buckets()
    const has = ({ what, name }: Decision): boolean =>
      what === 'job' ? jobs.filter((job) => job.name === name).length === 1 : buckets.includes(name)
    return acknowledged.filter((decision) => !has(decision)).map(({ what, name }) => `${what} ${name}`)
  }

  /** Ends the jobs that it has registered. */
  async undo(): Promise<void> {
    for (const { id, name } of await this.#mayfly.jobs()) {
      if (!name.startsWith('decision-')) continue
      await (await this.#mayfly.job(id)).deregister()
    }
  }

  async #run(what: Decision['what'], make: (name: string) => Promise<unknown>): Promise<void> {
    for (let number = 1; this.#running; number++) {
      const name = `decision-${what}-${number}`
      const { code, message } = await make(name).then(
        () => ({ code: 'ok', message: '' }),
        ({ code, message }: MayflyError) => ({ code: String(code), message }),
      )
      this.made.push({ what, name, code, message, returnedMs: performance.now() })
      await sleep(PAUSE_MS)
    }
  }
}
