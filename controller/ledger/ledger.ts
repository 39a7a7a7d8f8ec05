import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { ENDED_JOBS_RETAINED_MAX, LAST_USE_WRITE_MS } from '../limits.ts'
import { type Job, type Share, scopeOf } from '../records/job.ts'
import type { NodeRecord } from '../records/node.ts'
import { Arrivals } from '../sizing/arrivals.ts'
import type { ResourceVector } from '../sizing/node-class.ts'
import {
  higherPeak,
  isInstructive,
  type Learned,
  type Peak,
  type Reads,
  type Run,
} from '../sizing/run-stats.ts'
import { Runs } from '../sizing/runs.ts'
import type { IdempotencyKey, Store } from '../store/store.ts'
import { ReservationTotals } from './reservation-totals.ts'

/**
 * All jobs, and through their shares the reservations on each node. A change counts in memory at once, so that no bytes are assigned twice,
 * and is stored before the returned promise resolves; if storing fails, it is reverted.
 */
export class Ledger {
  readonly #store: Store
  readonly #clock: Clock
  readonly #jobs = new Map<string, Job>()
  /** Jobs that have not ended, oldest first. */
  readonly #living = new Map<string, Job>()
  /** Number of living jobs of each metadata server. */
  readonly #servers = new Map<string, number>()
  /** Ended jobs whose record is retained, the longest ended first. */
  #ended = new Set<string>()
  readonly #relocating = new Set<string>()
  readonly #accounts = new ReservationTotals()
  readonly #runs = new Runs()
  readonly arrivals = new Arrivals()
  readonly #keys = new Map<string, IdempotencyKey>()
  /** The scoped key of each job that has one. */
  readonly #keyOf = new Map<string, string>()
  /** On the monotonic clock, so that a jump of the wall clock ends no job. */
  readonly #usedMs = new Map<string, number>()
  /** Peaks above the stored ones. */
  readonly #peaks = new Map<string, Peak>()
  readonly #reads = new Map<string, Reads>()

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** Loads the store. The time since the last use of a job includes the time without a controller. */
  restore(stored: { jobs: readonly Job[]; keys: readonly IdempotencyKey[]; runs: readonly Run[] }): void {
    for (const job of [...stored.jobs].sort((a, b) => a.createdAtMs - b.createdAtMs)) {
      this.#set(job)
      if (job.state !== 'ended') this.#usedMs.set(job.id, this.#monotonicOf(job.usedAtMs))
    }
    const ended = stored.jobs.filter(({ state }) => state === 'ended')
    ended.sort((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0))
    this.#ended = new Set(ended.map(({ id }) => id))
    for (const key of stored.keys) this.#enterKey(key)
    this.#runs.restore(stored.runs)
    this.#restoreArrivals(stored)
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id)
  }

  /** The highest use of the job so far. */
  peakOf(job: Job): Peak {
    return this.#peaks.get(job.id) ?? job.peak
  }

  /** Throws `JOB_NOT_FOUND`. */
  require(id: string): Job {
    const job = this.#jobs.get(id)
    if (job === undefined) throw new MayflyError('JOB_NOT_FOUND', `There is no job '${id}'`)
    return job
  }

  keyed(of: Pick<IdempotencyKey, 'owner' | 'key'>): IdempotencyKey | undefined {
    return this.#keys.get(scopedKey(of))
  }

  /** Jobs that have not ended, oldest first. */
  living(): Job[] {
    return [...this.#living.values()]
  }

  get livingCount(): number {
    return this.#living.size
  }

  /** Number of living jobs that a metadata server decides about. */
  livingOn(server: string): number {
    return this.#servers.get(server) ?? 0
  }

  /** Reservations of living jobs by node. */
  reserved(): Map<string, ResourceVector> {
    return this.#accounts.reserved()
  }

  /** Reservations of living jobs on one node. */
  reservedOn(node: string): ResourceVector {
    return this.#accounts.reservedOn(node)
  }

  /** Living jobs with a share that is moving to another node. */
  relocating(): Job[] {
    return [...this.#relocating].map((id) => this.require(id))
  }

  isReserved(node: string): boolean {
    return this.#accounts.isReserved(node)
  }

  /** What earlier runs of a job's owner and name say. */
  learned(scope: string): Learned | null {
    return this.#runs.learn(scope)
  }

  async create(job: Job, key: IdempotencyKey | null): Promise<Job> {
    this.#set(job)
    this.arrivals.registered(scopeOf(job), job.createdAtMs, job.hints)
    this.touch(job.id, this.#clock.monotonicMs())
    if (key !== null) this.#enterKey(key)
    try {
      await this.#store.createJob(job, key)
    } catch (error) {
      this.#forget(job.id)
      throw error
    }
    return job
  }

  /** The changed job. */
  async change(id: string, change: Partial<Job>): Promise<Job> {
    const before = this.require(id)
    const job = { ...this.#upToDate(before), ...change }
    this.#set(job)
    try {
      await this.#store.putJobs([job])
    } catch (error) {
      this.#undo(before, job)
      throw error
    }
    return job
  }

  /** Counts these shares until the next change, without storing them. Unlike a change, this cannot fail. */
  hold(id: string, shares: readonly Share[]): void {
    this.#set({ ...this.require(id), shares })
  }

  /**
   * Marks the job as ended: its reservation is free and its record is retained. Its peak is stored in the same write, so it counts exactly
   * once for later jobs of its name.
   */
  async end(id: string): Promise<Job> {
    const before = this.require(id)
    const endedAtMs = this.#clock.wallMs()
    const job: Job = { ...this.#upToDate(before), state: 'ended', shares: [], endedAtMs }
    const { peak } = job
    const name = scopeOf(job)
    const isRun = job.endReason !== 'failed' && isInstructive(peak)
    const run = isRun ? { job: id, name, endedAtMs, peak, reads: this.#reads.get(id) ?? null } : null
    const forgotten = run === null ? [] : this.#runs.displacedBy(run)
    this.#set(job)
    const pruned = this.#takeSurplus()
    try {
      await this.#store.endJob(job, { run, forgotten, pruned })
    } catch (error) {
      this.#set(before)
      this.#ended = new Set([...pruned, ...this.#ended])
      throw error
    }
    if (run !== null) this.#runs.add(run)
    for (const old of pruned) this.#forget(old)
    this.#forgetUse(id)
    return job
  }

  /** Stores new shares of several jobs together with the node that they changed for, atomically. */
  async reshare(sharesOf: ReadonlyMap<string, readonly Share[]>, node: NodeRecord): Promise<void> {
    const before = [...sharesOf.keys()].map((id) => this.require(id))
    const after = before.map((job) => ({ ...job, shares: sharesOf.get(job.id) ?? job.shares }))
    for (const job of after) this.#set(job)
    try {
      await this.#store.putDraining(node, after)
    } catch (error) {
      for (const [index, job] of before.entries()) this.#undo(job, after[index] ?? job)
      throw error
    }
  }

  /** Releases the idempotency key of a failed registration, so that it can be repeated. */
  async releaseKey(job: string): Promise<void> {
    this.#forgetKey(job)
    await this.#store.deleteKeyOf(job)
  }

  /** Last use or renewal of the job, on the monotonic clock. */
  usedMs(id: string): number {
    return this.#usedMs.get(id) ?? this.#monotonicOf(this.require(id).usedAtMs)
  }

  /** Notes a use. It is stored with the next change or by `writeUses`. */
  touch(id: string, usedMs: number): void {
    const job = this.#jobs.get(id)
    if (job === undefined || job.state === 'ended') return
    this.#usedMs.set(id, Math.max(usedMs, this.#usedMs.get(id) ?? Number.NEGATIVE_INFINITY))
  }

  /** Notes the current use if it is a new peak, and the reads per object. Stored later, like a use. */
  observe(id: string, { peak, reads }: { peak: Peak; reads: Reads | null }): void {
    const job = this.#living.get(id)
    if (job === undefined) return
    this.#peaks.set(id, higherPeak(peak, this.#peaks.get(id) ?? job.peak))
    if (reads !== null) this.#reads.set(id, reads)
  }

  /** Stores last uses that are at least `LAST_USE_WRITE_MS` newer than the stored ones. */
  async writeUses(): Promise<void> {
    const stale: Job[] = []
    for (const [id, usedMs] of this.#usedMs) {
      const job = this.require(id)
      if (this.#wallOf(usedMs) - job.usedAtMs >= LAST_USE_WRITE_MS) stale.push(this.#upToDate(job))
    }
    if (stale.length === 0) return
    for (const job of stale) this.#set(job)
    await this.#store.putJobs(stale)
  }

  /** The ended jobs above `ENDED_JOBS_RETAINED_MAX`. They are no longer retained, so that no other end deletes them too. */
  #takeSurplus(): string[] {
    const surplus: string[] = []
    for (const id of this.#ended) {
      if (this.#ended.size <= ENDED_JOBS_RETAINED_MAX) break
      this.#ended.delete(id)
      surplus.push(id)
    }
    return surplus
  }

  /** The job with what was noted since the last write. */
  #upToDate(job: Job): Job {
    const { id } = job
    return { ...job, usedAtMs: this.#wallOf(this.usedMs(id)), peak: this.peakOf(job) }
  }

  /** Reverts a change that was not stored, but not what has been changed since. */
  #undo(before: Job, failed: Job): void {
    const now = this.#jobs.get(failed.id)
    if (now === undefined) return
    const names = Object.keys(failed) as (keyof Job)[]
    const unchanged = names.filter((name) => now[name] === failed[name])
    this.#set({ ...now, ...Object.fromEntries(unchanged.map((name) => [name, before[name]])) })
  }

  #set(job: Job): void {
    this.#accounts.change(this.#jobs.get(job.id) ?? null, job)
    this.#jobs.set(job.id, job)
    this.#count(this.#living.get(job.id), -1)
    if (job.state === 'ended') {
      this.#living.delete(job.id)
      this.#ended.add(job.id)
    } else {
      this.#ended.delete(job.id)
      this.#living.set(job.id, job)
      this.#count(job, 1)
    }
    if (job.shares.some(({ leaving }) => leaving !== undefined)) this.#relocating.add(job.id)
    else this.#relocating.delete(job.id)
  }

  #forget(id: string): void {
    this.#accounts.change(this.#jobs.get(id) ?? null, null)
    this.#count(this.#living.get(id), -1)
    this.#jobs.delete(id)
    this.#living.delete(id)
    this.#ended.delete(id)
    this.#relocating.delete(id)
    this.#forgetUse(id)
    this.#forgetKey(id)
  }

  #count(job: Job | undefined, by: number): void {
    if (job !== undefined) this.#servers.set(job.metadata, this.livingOn(job.metadata) + by)
  }

  #forgetUse(id: string): void {
    this.#usedMs.delete(id)
    this.#peaks.delete(id)
    this.#reads.delete(id)
  }

  #enterKey(key: IdempotencyKey): void {
    this.#keys.set(scopedKey(key), key)
    this.#keyOf.set(key.job, scopedKey(key))
  }

  #forgetKey(job: string): void {
    this.#keys.delete(this.#keyOf.get(job) ?? '')
    this.#keyOf.delete(job)
  }

  /** For runs whose job record is gone only the end is known; their distances equal those of the registrations. */
  #restoreArrivals({ jobs, runs }: { jobs: readonly Job[]; runs: readonly Run[] }): void {
    const retained = new Set(jobs.map(({ id }) => id))
    const forgotten = runs.filter(({ job }) => !retained.has(job))
    const registered = [
      ...forgotten.map(({ name, endedAtMs }) => ({ name, atMs: endedAtMs, hints: {} })),
      ...jobs.map((job) => ({ name: scopeOf(job), atMs: job.createdAtMs, hints: job.hints })),
    ].sort((a, b) => a.atMs - b.atMs)
    for (const { name, atMs, hints } of registered) this.arrivals.registered(name, atMs, hints)
  }

  #monotonicOf(wallMs: number): number {
    return this.#clock.monotonicMs() - Math.max(0, this.#clock.wallMs() - wallMs)
  }

  #wallOf(monotonicMs: number): number {
    return Math.round(this.#clock.wallMs() - (this.#clock.monotonicMs() - monotonicMs))
  }
}

/** Owner names contain no slash. */
function scopedKey({ owner, key }: Pick<IdempotencyKey, 'owner' | 'key'>): string {
  return `${owner}/${key}`
}
