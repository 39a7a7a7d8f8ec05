import { MayflyError } from '../../protocol/errors.ts'
import { ENDED_TAKEN_JOBS_MAX } from '../../protocol/limits.ts'
import { KeyedMutex } from '../../service/process/locks.ts'
import { transferring } from '../decide/departure.ts'
import type { JobRecord, MovedJob } from '../decide/job-record.ts'
import { View } from '../decide/view.ts'
import type { PlacementStore } from '../store/placement-store.ts'

interface Job {
  record: JobRecord
  readonly view: View
}

/**
 * The jobs of one metadata server: their records and the placements shown to clients. Changes of one job are serial, and each is stored
 * before it is visible.
 */
export class Jobs {
  readonly #store: PlacementStore
  readonly #jobs = new Map<string, Job>()
  readonly #moved = new Map<string, MovedJob>()
  /** Jobs that came from another server and have ended. A late repetition of their transfer must not start them again. */
  readonly #ended = new Set<string>()
  readonly #serial = new KeyedMutex()

  constructor(store: PlacementStore) {
    this.#store = store
  }

  /**
   * Loads the jobs. If the previous process served at another address, the term of every job rises, as after a transfer from another server:
   * nodes then accept this process's messages and leases. A job that is being transferred belongs to its target.
   */
  async load(address: string): Promise<void> {
    for (const record of await this.#store.jobs())
      this.#jobs.set(record.id, { record, view: new View(record) })
    for (const moved of await this.#store.moved()) this.#moved.set(moved.id, moved)
    const before = await this.#store.address()
    if (before === address) return
    const nextTerm = (record: JobRecord): JobRecord => ({ ...record, term: record.term + 1 })
    if (before !== null) await Promise.all(this.ids().map((id) => this.changeLiving(id, nextTerm)))
    await this.#store.saveAddress(address)
  }

  /** Jobs on this server. */
  ids(): string[] {
    return [...this.#jobs.keys()]
  }

  has(id: string): boolean {
    return this.#jobs.has(id)
  }

  /** Jobs that were transferred to other servers and have not ended. */
  movedIds(): string[] {
    return [...this.#moved.keys()]
  }

  /** Whether this server decides about the job. */
  decides(id: string): boolean {
    const job = this.#jobs.get(id)
    return job !== undefined && !job.record.departure?.transferring
  }

  /** The server and term of a job that is elsewhere, as far as this server knows; null if the job is here. */
  movedTo(id: string): MovedJob | null {
    const departure = this.#jobs.get(id)?.record.departure
    if (!departure?.transferring) return this.#moved.get(id) ?? null
    return { id, term: this.record(id).term + 1, address: departure.server.address }
  }

  /** Throws `JOB_ENDED` or `JOB_MOVED`. */
  record(id: string): JobRecord {
    return this.#job(id).record
  }

  /** Throws as `record`. */
  view(id: string): View {
    return this.#job(id).view
  }

  /** Creates a job or changes an existing one. `decide` gets the current record; returning it unchanged changes nothing. */
  async create(id: string, decide: (record: JobRecord | null) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => {
      const known = this.#jobs.has(id) || this.#moved.has(id) ? this.#requireDecided(id) : null
      return this.#write(id, decide(known))
    })
  }

  /** Changes a job if it exists and this server decides about it; else resolves with null. */
  async changeLiving(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord | null> {
    return await this.#serial.run(id, async () => {
      return this.decides(id) ? await this.#write(id, decide(this.record(id))) : null
    })
  }

  /** Changes a job. Rejects as `record`, with `UNAVAILABLE` while the job is being transferred, or with the error of `decide`. */
  async change(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => this.#write(id, decide(this.#requireDecided(id))))
  }

  /** Changes the departure of a job, also while it is being transferred. */
  async depart(id: string, decide: (record: JobRecord) => JobRecord): Promise<JobRecord> {
    return await this.#serial.run(id, () => this.#write(id, decide(this.record(id))))
  }

  /**
   * Stores a job that another server transfers to this one. Null if the transfer is stale: the job is here already, has moved on, or has
   * ended.
   */
  async take(record: JobRecord): Promise<JobRecord | null> {
    const { id, term } = record
    return await this.#serial.run(id, async () => {
      const known = this.#jobs.get(id)?.record.term ?? this.#moved.get(id)?.term ?? -1
      if (known >= term || this.#ended.has(id)) return null
      // A job that is still being transferred from here has come back; its record is replaced.
      const view = new View(record)
      const taken = await this.#write(id, record)
      this.#jobs.set(id, { record: taken, view })
      this.#moved.delete(id)
      return taken
    })
  }

  /** The target server has confirmed the job at this term. False if the job has changed meanwhile. */
  async completeTransfer(moved: MovedJob): Promise<boolean> {
    const { id, term } = moved
    return await this.#serial.run(id, async () => {
      const record = this.#jobs.get(id)?.record
      if (record?.departure?.transferring !== true || record.term + 1 !== term) return false
      await this.#store.saveMoved(moved)
      this.#jobs.delete(id)
      this.#moved.set(id, moved)
      return true
    })
  }

  /** Ends a job. Resolves with its last record, or null if it is unknown. Rejects while the job is being transferred. */
  async end(id: string): Promise<JobRecord | null> {
    return await this.#serial.run(id, async () => {
      const record = this.#jobs.get(id)?.record ?? null
      if (record?.departure?.transferring) throw transferring(id)
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

  #requireDecided(id: string): JobRecord {
    const record = this.record(id)
    if (record.departure?.transferring) throw transferring(id)
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
