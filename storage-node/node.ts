import type { nodeOperations, peerOperations } from '../protocol/control-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { SLOTS_MAX } from '../protocol/limits.ts'
import type { RequestOf } from '../protocol/operation.ts'
import { violation } from '../protocol/reader.ts'
import type { JobUsageReport } from '../protocol/reports.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Claims } from '../protocol/token.ts'
import { TierBudget } from './budget.ts'
import { JobSpace, stalePlacement } from './job-space.ts'
import { LargeObjects } from './large-objects.ts'
import { Objects } from './objects.ts'
import { Slot } from './slot.ts'

type Own = RequestOf<typeof nodeOperations.own>
type VersionsAlive = RequestOf<typeof peerOperations.versionsAlive>

/** One storage node: the jobs that have slots here, and what may be done with them. */
export class StorageNode {
  readonly id: string
  readonly ram: TierBudget
  readonly jobs = new Map<string, JobSpace>()
  readonly objects: Objects
  readonly largeObjects: LargeObjects
  readonly #clock: Clock

  constructor(options: { id: string; ramBytes: number; clock: Clock }) {
    this.id = options.id
    this.ram = new TierBudget(options.ramBytes)
    this.#clock = options.clock
    this.objects = new Objects(options.clock)
    this.largeObjects = new LargeObjects(this.objects, options.clock)
  }

  /** The job of a connection, marked as used. Throws `FORBIDDEN` or `STALE_PLACEMENT`. */
  jobOf(claims: Claims, right: 'read' | 'write'): JobSpace {
    if (claims.job === '')
      throw new MayflyError('FORBIDDEN', 'Objects are reached with the ticket of their job')
    if (!claims[right]) throw new MayflyError('FORBIDDEN', `The ticket grants no right to ${right}`)
    const job = this.jobs.get(claims.job)
    if (job === undefined) throw stalePlacement('any slot of the job')
    job.lastUseMs = this.#clock.monotonicMs()
    return job
  }

  /** Takes slots over, on the word of metadata. Slots that are owned already keep what they hold. */
  own(request: Own): void {
    if (request.slots === 0 || request.slots > SLOTS_MAX) throw violation(`a job has ${request.slots} slots`)
    const job = this.#knownJob(request)
    job.metadata = request.metadata
    job.setBudget(request.ramBytes, request.ramBytesMax)
    for (const bucket of request.droppedBuckets) {
      if (!job.droppedBuckets.has(bucket)) job.dropBucket(bucket)
    }
    for (const { first, count, epoch, lost } of request.owned) {
      if (first + count > job.slots.length)
        throw violation(`slots ${first} to ${first + count - 1} are out of range`)
      for (let index = first; index < first + count; index++) job.slots[index] ??= new Slot(epoch, lost)
    }
  }

  /** Frees every byte of a job, at once. */
  dropJob(id: string): void {
    this.jobs.get(id)?.release()
    this.jobs.delete(id)
  }

  /**
   * Drops jobs that a metadata server no longer names, told by its answer to a heartbeat that was sent at
   * `sentMs`: what it told this node after that, the answer may not know yet.
   */
  keepOnly(living: readonly string[], from: { metadata: string; sentMs: number }): void {
    const names = new Set(living)
    for (const job of this.jobs.values()) {
      if (job.metadata !== from.metadata || job.toldMs >= from.sentMs || names.has(job.id)) continue
      this.dropJob(job.id)
    }
  }

  /** One bit for each version: whether it is still wanted. */
  versionsAlive({ job: id, versions }: VersionsAlive): Buffer {
    const job = this.jobs.get(id)
    if (job === undefined) throw stalePlacement('any slot of the job')
    const alive = Buffer.alloc(Math.ceil(versions.length / 8))
    versions.forEach((version, index) => {
      if (this.largeObjects.isAlive(job, version))
        alive[index >> 3] = (alive[index >> 3] ?? 0) | (1 << (index & 7))
    })
    return alive
  }

  /** What each job uses here; `elapsedMs` is the time since the last report. */
  report(elapsedMs: number): JobUsageReport[] {
    const now = this.#clock.monotonicMs()
    return [...this.jobs.values()].map((job) => {
      const bytesPerSecond = Math.round((job.movedBytes * 1000) / Math.max(1, elapsedMs))
      job.movedBytes = 0
      return {
        id: job.id,
        objects: job.objects,
        bytes: { ram: job.usedBytes },
        bytesPerSecond,
        idleMs: Math.max(0, Math.round(now - job.lastUseMs)),
      }
    })
  }

  #knownJob(request: Own): JobSpace {
    let job = this.jobs.get(request.job)
    const nowMs = this.#clock.monotonicMs()
    if (job === undefined) {
      job = new JobSpace(request.job, { slots: request.slots, tier: this.ram, nowMs })
      this.jobs.set(request.job, job)
    }
    checkGeneration(job, request.generation)
    job.toldMs = nowMs
    return job
  }
}

/** A metadata server that was restarted has a higher generation; its predecessor's late words count no more. */
function checkGeneration(job: JobSpace, generation: number): void {
  if (generation < job.generation) {
    throw new MayflyError('STALE_PLACEMENT', `Generation ${generation} of the metadata server is over`)
  }
  job.generation = generation
}
