import { MayflyError } from '../../protocol/errors.ts'
import { SLOTS_MAX } from '../../protocol/limits.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import type { nodeOperations } from '../../protocol/operations/plane-operations.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { NodeBudget } from '../budget/budget.ts'
import type { NodeJob } from '../job/job.ts'
import type { Lease } from '../job/lease.ts'
import { RAM, S3, SSD } from '../tiers/job-tiers.ts'
import { dropReleased, withdraw } from './source.ts'
import { cancelArrival, takeOver } from './target.ts'

type Own = RequestOf<typeof nodeOperations.own>
type Owned = Own['owned'][number]
type Drop = RequestOf<typeof nodeOperations.drop>

/** The sender of an ownership message, and its job. */
type Sender = Pick<Own, 'job' | 'metadata' | 'generation' | 'term'>

interface OwnershipOptions {
  readonly create: (
    job: { id: string; slots: number; metadata: string; term: number },
    lease: Lease,
  ) => NodeJob
  /** Called after the budget of a job has changed. */
  readonly onBudget: (job: NodeJob) => void
}

/** The jobs of a node, and which of their slots it owns, as the metadata servers of the jobs have decided. */
export class Ownership {
  readonly #jobs = new Map<string, NodeJob>()
  readonly #leases = new Map<string, Lease>()
  readonly #generations = new Map<string, number>()
  readonly #options: OwnershipOptions

  constructor(options: OwnershipOptions) {
    this.#options = options
  }

  get jobs(): ReadonlyMap<string, NodeJob> {
    return this.#jobs
  }

  /**
   * Applies the ownership that metadata has decided for a job; slots for which `isLate` are acquired by a later call. Returns the newly
   * acquired slots, and how many were withdrawn: metadata had declared this node dead and has given them to others.
   */
  own(
    request: Own,
    isLate: (owned: Owned) => boolean = () => false,
  ): { job: NodeJob; taken: number[]; withdrawn: number } {
    if (request.slots === 0 || request.slots > SLOTS_MAX) throw violation(`a job has ${request.slots} slots`)
    this.check(request)
    const job = this.#knownJob(request)
    if (request.term > job.term) job.lease.replace(request, this.#lease(request.metadata))
    for (const { first, count } of request.owned)
      if (first + count > job.owned.count)
        throw violation(`slots ${first} to ${first + count - 1} are out of range`)
    let withdrawn = 0
    if (job.applyBudget(budgetOf(request))) {
      this.#options.onBudget(job)
      withdrawn = withdrawOthers(job, request.owned)
    }
    job.applyBuckets(request)
    const taken: number[] = []
    for (const owned of request.owned) {
      if (isLate(owned)) continue
      const { first, count, epoch, lost, origin, source } = owned
      for (let index = first; index < first + count; index++)
        if (takeOver(job, { index, epoch, lost, origin, source })) taken.push(index)
    }
    job.owned.compact()
    return { job, taken, withdrawn }
  }

  /** Frees what a handoff has left behind. */
  drop(request: Drop): void {
    const { epoch, slots } = request
    const job = this.#jobs.get(request.job)
    if (job === undefined) return
    this.check(request)
    for (const slot of slots) {
      dropReleased(job, slot, epoch)
      cancelArrival(job, slot, epoch)
    }
  }

  /** Forgets a job that has ended. */
  forget(id: string): void {
    this.#jobs.delete(id)
  }

  /** The known jobs of one metadata server, including those without slots here. */
  jobsOf(metadata: string): string[] {
    return [...this.#jobs.values()].filter((job) => job.metadata === metadata).map(({ id }) => id)
  }

  /** Metadata servers of the known jobs. */
  get metadataServers(): ReadonlySet<string> {
    return new Set([...this.#jobs.values()].map(({ metadata }) => metadata))
  }

  /**
   * Applies the lease that a metadata server has granted with a heartbeat, except to the jobs that it has
   * transferred.
   */
  renewLease(
    metadata: string,
    untilMs: number,
    moved: readonly { readonly job: string; readonly term: number }[],
  ): void {
    for (const { job: id, term } of moved) {
      const job = this.#jobs.get(id)
      if (job !== undefined && job.term < term) job.lease.endRenewal()
    }
    const lease = this.#lease(metadata)
    lease.untilMs = Math.max(lease.untilMs, untilMs)
  }

  /**
   * Throws `STALE_PLACEMENT` for a message of an earlier process of the metadata server, which has a lower
   * generation, or of a server that has transferred the job since.
   */
  check({ job, metadata, generation, term }: Sender): void {
    const known = this.#generations.get(metadata) ?? 0
    if (generation < known) {
      throw new MayflyError('STALE_PLACEMENT', `Generation ${generation} of the metadata server is over`)
    }
    this.#generations.set(metadata, generation)
    if (term < (this.#jobs.get(job)?.term ?? 0)) {
      throw new MayflyError('STALE_PLACEMENT', `The metadata server at ${metadata} has transferred the job`)
    }
  }

  #knownJob({ job: id, slots, metadata, term }: Own): NodeJob {
    const known = this.#jobs.get(id)
    if (known !== undefined) return known
    const job = this.#options.create({ id, slots, metadata, term }, this.#lease(metadata))
    this.#jobs.set(id, job)
    return job
  }

  #lease(metadata: string): Lease {
    let lease = this.#leases.get(metadata)
    if (lease === undefined) {
      lease = { untilMs: Number.NEGATIVE_INFINITY }
      this.#leases.set(metadata, lease)
    }
    return lease
  }
}

/**
 * Withdraws owned slots that are in no range of a current message, which names all slots of the node. A node that lives releases a slot
 * before another gets it, so these were given away because the node was declared dead. Returns how many there were.
 */
function withdrawOthers(job: NodeJob, ranges: readonly Owned[]): number {
  if (!job.owned.any) return 0
  const named = new Uint8Array(job.owned.count)
  for (const { first, count } of ranges) named.fill(1, first, first + count)
  let others = 0
  for (let index = 0; index < named.length; index++) {
    if (named[index] === 1 || !job.owned.owns(index)) continue
    withdraw(job, index)
    others++
  }
  return others
}

function budgetOf(request: Own): NodeBudget {
  const { revision, bytesPerSecond, readsPerThousand } = request
  return {
    revision,
    bytesPerSecond,
    readsPerObject: readsPerThousand === null ? null : readsPerThousand / 1000,
    tiers: new Map([
      [RAM, { reservedBytes: request.ramBytes, bytesMax: request.ramBytesMax }],
      [SSD, { reservedBytes: request.ssdBytes, bytesMax: request.ssdBytesMax }],
      [S3, { reservedBytes: request.s3Bytes, bytesMax: request.s3BytesMax }],
    ]),
  }
}
