import { MayflyError } from '../../protocol/errors.ts'
import { ENDED_TAKEN_JOBS_MAX } from '../../protocol/limits.ts'
import { KeyedMutex } from '../../service/process/keyed-mutex.ts'
import { isHandedOn } from '../decide/departure.ts'
import type { JobRecord, MovedJob } from '../decide/job-record.ts'
import { View } from '../decide/view.ts'
import type { PlacementStore } from '../store/placement-store.ts'

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
  readonly #moved = new Map<string, MovedJob>()
  /** Jobs that came from another server and have ended: its late repetition begins none of them again. */
  readonly #ended = new Set<string>()
  readonly #serial = new KeyedMutex()

  constructor(store: PlacementStore) {
    this.#store = store
  }

  async load(): Promise<void> {
    for (const record of await this.#store.jobs())
      this.#jobs.set(record.id, { record, view: new View(record) })
    for (const moved of await this.#store.moved()) this.#moved.set(moved.id, moved)
  }

  /** Those that live here. */
  ids(): string[] {
    return [...this.#jobs.keys()]
  }

  has(id: string): boolean {
    return this.#jobs.has(id)
  }

  /** Those that were handed to other servers and have not ended. */
  movedIds(): string[] {
    return [...this.#moved.keys()]
  }

  /** Whether this server decides for the job. */
  decides(id: string): boolean {
    const job = this.#jobs.get(id)
    return job !== undefined && !job.record.leaving?.handing
  }

  /** Where the job is since when, or null if that is here, as far as this server knows. */
  movedTo(id: string): MovedJob | null {
    const leaving = this.#jobs.get(id)?.record.leaving
    if (!leaving?.handing) return this.#moved.get(id) ?? null
    return { id, term: this.record(id).term + 1, address: leaving.server.address }
  }

  /** Throws `JOB_ENDED`, or `JOB_MOVED`. */
  record(id: string): JobRecord {
    return this.#job(id).record
  }

  /** Throws as `record`. */
  view(id: string): View {
    return this.#job(id).view
  }

  /** Begins a job, or changes one. `decide` gets what is there; to give the same back changes nothing. */
  async create(id: string, decide: (record: JobRecord | null) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => {
      const known = this.#jobs.has(id) || this.#moved.has(id) ? this.#decided(id) : null
      return this.#write(id, decide(known))
    })
  }

  /** Changes a job if it lives and this server decides for it; else null. */
  async changeLiving(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord | null> {
    return await this.#serial.run(id, async () => {
      return this.decides(id) ? await this.#write(id, decide(this.record(id))) : null
    })
  }

  /** Changes a job. Rejects as `record`, with `UNAVAILABLE` while it is handed on, or with what `decide` throws. */
  async change(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => this.#write(id, decide(this.#decided(id))))
  }

  /** Where the job goes may be said anew also while it is handed on. */
  async depart(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => this.#write(id, decide(this.record(id))))
  }

  /**
   * Takes a job over from another server, as it is there. Null if that is nothing new: it is here already, was handed on
   * since, or has ended.
   */
  async take(record: JobRecord): Promise<JobRecord | null> {
    const { id, term } = record
    return await this.#serial.run(id, async () => {
      const known = this.#jobs.get(id)?.record.term ?? this.#moved.get(id)?.term ?? -1
      if (known >= term || this.#ended.has(id)) return null
      // One that is still being handed on from here has come back from there.
      const view = new View(record)
      const taken = await this.#write(id, record)
      this.#jobs.set(id, { record: taken, view })
      this.#moved.delete(id)
      return taken
    })
  }

  /** The other server has the job since this term. False if something else became of it meanwhile. */
  async handOver(moved: MovedJob): Promise<boolean> {
    const { id, term } = moved
    return await this.#serial.run(id, async () => {
      const record = this.#jobs.get(id)?.record
      if (record?.leaving?.handing !== true || record.term + 1 !== term) return false
      await this.#store.handOver(moved)
      this.#jobs.delete(id)
      this.#moved.set(id, moved)
      return true
    })
  }

  /** Ends a job for good; resolves with what it was, or null if it is not there. Rejects while it is handed on. */
  async end(id: string): Promise<JobRecord | null> {
    return await this.#serial.run(id, async () => {
      const record = this.#jobs.get(id)?.record ?? null
      if (record?.leaving?.handing) throw isHandedOn(id)
      await this.#store.remove(id)
      this.#jobs.delete(id)
      this.#moved.delete(id)
      if (record !== null && record.term > 0) this.#rememberEnd(id)
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

  #rememberEnd(id: string): void {
    this.#ended.add(id)
    const [oldest] = this.#ended
    if (this.#ended.size > ENDED_TAKEN_JOBS_MAX && oldest !== undefined) this.#ended.delete(oldest)
  }

  #decided(id: string): JobRecord {
    const record = this.record(id)
    if (record.leaving?.handing) throw isHandedOn(id)
    return record
  }

  #job(id: string): Job {
    const job = this.#jobs.get(id)
    const moved = this.#moved.get(id)
    if (job === undefined && moved !== undefined) {
      throw new MayflyError('JOB_MOVED', `The metadata server at ${moved.address} decides for job ${id}`)
    }
    if (job === undefined) throw new MayflyError('JOB_ENDED', `Job ${id} has ended`)
    return job
  }
}
