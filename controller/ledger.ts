import { MayflyError } from '../protocol/errors.ts'
import { ENDED_JOBS_KEPT_MAX, LAST_USE_WRITE_MS } from '../protocol/limits.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Job, Share } from './job.ts'
import type { NodeRecord } from './node.ts'
import { add, nothing, type ResourceVector } from './node-class.ts'
import type { IdempotencyKey, Store } from './store/store.ts'

/**
 * Every job, and through their shares what is reserved where. A change counts in memory at once, so that two
 * decisions never give away the same bytes, and is written down before the returned promise resolves; if that
 * fails it is taken back.
 */
export class Ledger {
  readonly #store: Store
  readonly #clock: Clock
  readonly #jobs = new Map<string, Job>()
  readonly #keys = new Map<string, IdempotencyKey>()
  /** On the monotonic clock, so that a wall clock that jumps ends no job. */
  readonly #usedMs = new Map<string, number>()

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** Takes over what the store had. The time since a job's last use goes on counting while no controller runs. */
  restore(jobs: readonly Job[], keys: readonly IdempotencyKey[]): void {
    for (const job of jobs) {
      this.#jobs.set(job.id, job)
      if (job.state !== 'ended') this.#usedMs.set(job.id, this.#monotonicOf(job.usedAtMs))
    }
    for (const key of keys) this.#keys.set(key.key, key)
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id)
  }

  /** Throws `JOB_NOT_FOUND`. */
  require(id: string): Job {
    const job = this.#jobs.get(id)
    if (job === undefined) throw new MayflyError('JOB_NOT_FOUND', `There is no job '${id}'`)
    return job
  }

  keyed(key: string): IdempotencyKey | undefined {
    return this.#keys.get(key)
  }

  /** Jobs that have not ended, oldest first. */
  living(): Job[] {
    return [...this.#jobs.values()]
      .filter(({ state }) => state !== 'ended')
      .sort((a, b) => a.createdAtMs - b.createdAtMs)
  }

  /** What living jobs have reserved, node by node. */
  reserved(): Map<string, ResourceVector> {
    const byNode = new Map<string, ResourceVector>()
    for (const { state, shares } of this.#jobs.values()) {
      if (state === 'ended') continue
      for (const share of shares) byNode.set(share.node, add(byNode.get(share.node) ?? nothing, share))
    }
    return byNode
  }

  async create(job: Job, key: IdempotencyKey | null): Promise<Job> {
    this.#jobs.set(job.id, job)
    this.touch(job.id, this.#clock.monotonicMs())
    if (key !== null) this.#keys.set(key.key, key)
    try {
      await this.#store.createJob(job, key)
    } catch (error) {
      this.#forget(job.id)
      throw error
    }
    return job
  }

  /** The job as `change` has it. A job that has ended reserves nothing and is kept only for those who ask for it. */
  async change(id: string, change: Partial<Job>): Promise<Job> {
    const before = this.require(id)
    const job = { ...before, ...change, usedAtMs: this.#wallOf(this.usedMs(id)) }
    this.#jobs.set(id, job)
    try {
      await this.#store.putJobs([job])
    } catch (error) {
      this.#jobs.set(id, before)
      throw error
    }
    if (job.state === 'ended') await this.#prune(id)
    return job
  }

  /** New shares of jobs, written down together with the node on whose account they change: all of it, or nothing. */
  async reshare(sharesOf: ReadonlyMap<string, readonly Share[]>, node: NodeRecord): Promise<void> {
    const before = [...sharesOf.keys()].map((id) => this.require(id))
    const after = before.map((job) => ({ ...job, shares: sharesOf.get(job.id) ?? job.shares }))
    for (const job of after) this.#jobs.set(job.id, job)
    try {
      await this.#store.putDraining(node, after)
    } catch (error) {
      for (const job of before) this.#jobs.set(job.id, job)
      throw error
    }
  }

  /** Forgets the key of a registration that failed, so that it can be tried again. */
  async releaseKey(job: string): Promise<void> {
    for (const [key, known] of this.#keys) if (known.job === job) this.#keys.delete(key)
    await this.#store.deleteKeyOf(job)
  }

  /** When the job was last used or renewed, on the monotonic clock. */
  usedMs(id: string): number {
    return this.#usedMs.get(id) ?? this.#monotonicOf(this.require(id).usedAtMs)
  }

  /** Notes a use. It reaches the store with the next change, or with `writeUses`. */
  touch(id: string, usedMs: number): void {
    const job = this.#jobs.get(id)
    if (job === undefined || job.state === 'ended') return
    this.#usedMs.set(id, Math.max(usedMs, this.#usedMs.get(id) ?? Number.NEGATIVE_INFINITY))
  }

  /** Writes down the last uses that are `LAST_USE_WRITE_MS` later than what the store knows. */
  async writeUses(): Promise<void> {
    const stale: Job[] = []
    for (const [id, usedMs] of this.#usedMs) {
      const job = this.require(id)
      const usedAtMs = this.#wallOf(usedMs)
      if (usedAtMs - job.usedAtMs >= LAST_USE_WRITE_MS) stale.push({ ...job, usedAtMs })
    }
    if (stale.length === 0) return
    for (const job of stale) this.#jobs.set(job.id, job)
    await this.#store.putJobs(stale)
  }

  async #prune(id: string): Promise<void> {
    this.#usedMs.delete(id)
    const ended = [...this.#jobs.values()].filter(({ state }) => state === 'ended')
    ended.sort((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0))
    const surplus = ended.slice(0, Math.max(0, ended.length - ENDED_JOBS_KEPT_MAX)).map((job) => job.id)
    for (const old of surplus) this.#forget(old)
    if (surplus.length > 0) await this.#store.deleteJobs(surplus)
  }

  #forget(id: string): void {
    this.#jobs.delete(id)
    this.#usedMs.delete(id)
    for (const [key, known] of this.#keys) if (known.job === id) this.#keys.delete(key)
  }

  #monotonicOf(wallMs: number): number {
    return this.#clock.monotonicMs() - Math.max(0, this.#clock.wallMs() - wallMs)
  }

  #wallOf(monotonicMs: number): number {
    return Math.round(this.#clock.wallMs() - (this.#clock.monotonicMs() - monotonicMs))
  }
}
