import { MayflyError } from '../protocol/errors.ts'
import { Serial } from '../service/serial.ts'
import type { JobRecord } from './job-record.ts'
import type { PlacementStore } from './store/placement-store.ts'
import { View } from './view.ts'

interface Job {
  record: JobRecord
  readonly view: View
}

/**
 * The jobs of one metadata server: what was decided about them and what clients are shown. Changes of one job come one
 * after another, and each is written down before anyone can see it.
 */
export class Jobs {
  readonly #store: PlacementStore
  readonly #jobs = new Map<string, Job>()
  readonly #serial = new Serial()

  constructor(store: PlacementStore) {
    this.#store = store
  }

  async load(): Promise<void> {
    for (const record of await this.#store.jobs())
      this.#jobs.set(record.id, { record, view: new View(record) })
  }

  ids(): string[] {
    return [...this.#jobs.keys()]
  }

  has(id: string): boolean {
    return this.#jobs.has(id)
  }

  /** Throws `JOB_ENDED`. */
  record(id: string): JobRecord {
    return this.#job(id).record
  }

  /** Throws `JOB_ENDED`. */
  view(id: string): View {
    return this.#job(id).view
  }

  /** Begins a job, or changes one. `decide` gets what is there; to give the same back changes nothing. */
  async create(id: string, decide: (record: JobRecord | null) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => this.#write(id, decide(this.#jobs.get(id)?.record ?? null)))
  }

  /** Changes a job if it lives; null if it has ended. */
  async changeLiving(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord | null> {
    return await this.#serial.run(id, async () => {
      const job = this.#jobs.get(id)
      return job === undefined ? null : await this.#write(id, decide(job.record))
    })
  }

  /** Changes a job. Rejects with `JOB_ENDED`, or with what `decide` throws. */
  async change(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => this.#write(id, decide(this.record(id))))
  }

  /** Ends a job for good; resolves with what it was, or null if it is not there. */
  async end(id: string): Promise<JobRecord | null> {
    return await this.#serial.run(id, async () => {
      const record = this.#jobs.get(id)?.record ?? null
      await this.#store.remove(id)
      this.#jobs.delete(id)
      return record
    })
  }

  async #write(id: string, decided: JobRecord): Promise<JobRecord> {
    const job = this.#jobs.get(id)
    if (decided === job?.record) return decided
    const record = { ...decided, revision: decided.revision + 1 }
    await this.#store.save(record)
    if (job === undefined) this.#jobs.set(id, { record, view: new View(record) })
    else job.record = record
    return record
  }

  #job(id: string): Job {
    const job = this.#jobs.get(id)
    if (job === undefined) throw new MayflyError('JOB_ENDED', `Job ${id} has ended`)
    return job
  }
}
