import { MayflyError } from '../protocol/errors.ts'
import { SLOTS_MAX } from '../protocol/limits.ts'
import type { Claims } from '../protocol/model/token.ts'
import type { nodeOperations, peerOperations } from '../protocol/operations/control-operations.ts'
import { tiers } from '../protocol/operations/data-operations.ts'
import type { RequestOf } from '../protocol/operations/operation.ts'
import type { JobUsageReport } from '../protocol/operations/reports.ts'
import type { Runtime } from '../protocol/runtime.ts'
import type { CallerPool } from '../protocol/transport/caller-pool.ts'
import { bitmapOf } from '../protocol/wire/bitmap.ts'
import { violation } from '../protocol/wire/reader.ts'
import type { PersistedStore } from '../service/persisted/persisted-store.ts'
import type { Background } from '../service/process/background.ts'
import { type Asked, requireRight } from './access.ts'
import { TierBudget } from './budget/budget.ts'
import { NodeUnderWay } from './budget/under-way.ts'
import { Puller } from './handoff/puller.ts'
import { dropReleased, HandoffSource } from './handoff/source.ts'
import { cancelArrival, takeOver } from './handoff/target.ts'
import { bytesByTier } from './job/counters.ts'
import { NodeJob, stalePlacement } from './job/job.ts'
import { KeyMutex } from './job/key-mutex.ts'
import type { Lease } from './job/lease.ts'
import { ObjectTable } from './job/object-table.ts'
import { BucketLookup } from './membership/bucket-lookup.ts'
import { PlacementCache } from './membership/placement-cache.ts'
import { UsageReports } from './membership/usage-reports.ts'
import { Arena } from './memory/arena.ts'
import { BatchObjects } from './operations/batch.ts'
import { BatchLowerReads } from './operations/batch-lower-reads.ts'
import { CapacityWait } from './operations/capacity-wait.ts'
import { LargeObjects } from './operations/large-objects.ts'
import { Listings } from './operations/listing.ts'
import { Objects } from './operations/objects.ts'
import { ChunkReader } from './persist/chunk-reader.ts'
import { OwnerCalls } from './persist/owner-calls.ts'
import { PersistedChunks } from './persist/persisted-chunks.ts'
import { Persistence } from './persist/persistence.ts'
import { PersistenceBatch } from './persist/persistence-batch.ts'
import { Recovery } from './persist/recovery.ts'
import { Sessions } from './sessions/sessions.ts'
import { keyString } from './slot/key-string.ts'
import { CapacityRequests, type CapacityRequestsOptions } from './tiering/capacity-requests.ts'
import { Demoter } from './tiering/demoter.ts'
import { LowerReads } from './tiering/lower-reads.ts'
import { type LowerTier, RAM } from './tiers/job-tiers.ts'
import type { TierStore } from './tiers/tier-store.ts'

/** Tier numbers. */
const SSD = tiers.indexOf('ssd')
const S3 = tiers.indexOf('s3')

type Own = RequestOf<typeof nodeOperations.own>
type Drop = RequestOf<typeof nodeOperations.drop>

/** The sender of an ownership message, and its job. */
type OwnershipMessage = Pick<Own, 'job' | 'metadata' | 'generation' | 'term'>
type VersionsAlive = RequestOf<typeof peerOperations.versionsAlive>

export interface NodeOptions {
  readonly id: string
  readonly ramBytes: number
  /** Null if the node has no SSD. */
  readonly ssd: { readonly bytes: number; readonly store: TierStore } | null
  /** Null if the cluster has no S3. */
  readonly s3: TierStore | null
  readonly background: Background
  /** Logs persistent objects that cannot be recovered, with the reason. */
  readonly warn: (message: string, context: { job: string; reason: string }) => void
  readonly runtime: Runtime
  readonly pool: CallerPool
  readonly persisted: PersistedStore
  readonly askCapacity: CapacityRequestsOptions['ask']
}

/** One storage node: the jobs with slots here, and the operations on them. */
export class StorageNode {
  readonly id: string
  readonly ram: TierBudget
  /** Tiers below RAM, from the highest to the lowest. */
  readonly lower: readonly LowerTier[]
  readonly demoter: Demoter
  readonly capacityRequests: CapacityRequests
  readonly capacityWait: CapacityWait
  readonly arena: Arena
  readonly underWay = new NodeUnderWay()
  readonly jobs = new Map<string, NodeJob>()
  readonly table: ObjectTable
  readonly objects: Objects
  readonly largeObjects: LargeObjects
  readonly batch: BatchObjects
  readonly batchLowerReads: BatchLowerReads
  readonly persistence: Persistence
  readonly persistenceBatch: PersistenceBatch
  readonly persistedChunks: PersistedChunks
  readonly recovery: Recovery
  readonly placements: PlacementCache
  readonly listings: Listings
  readonly sessions: Sessions
  readonly usageReports: UsageReports
  readonly source: HandoffSource
  readonly puller: Puller
  readonly #bucketLookup: BucketLookup
  readonly #runtime: Runtime
  readonly #background: Background
  readonly #leases = new Map<string, Lease>()
  readonly #generations = new Map<string, number>()

  constructor(options: NodeOptions) {
    const { runtime, pool } = options
    const { clock } = runtime
    this.id = options.id
    this.ram = new TierBudget(options.ramBytes)
    this.lower = lowerTiers(options)
    const { background } = options
    this.#background = background
    this.demoter = new Demoter(clock, background)
    this.capacityRequests = new CapacityRequests({
      clock,
      background,
      ask: options.askCapacity,
      bytesOf: bytesByTier,
    })
    const { demoter, capacityRequests } = this
    this.capacityWait = new CapacityWait({ demoter, capacityRequests, clock })
    const lowerReads = new LowerReads(demoter, clock)
    this.arena = new Arena(options.ramBytes)
    this.#runtime = runtime
    this.table = new ObjectTable(clock)
    this.placements = new PlacementCache({ pool, clock })
    const { table, placements } = this
    const store = options.persisted
    const mutex = new KeyMutex()
    const owners = new OwnerCalls({ self: this.id, placements, pool, clock })
    this.persistedChunks = new PersistedChunks({ table, store, mutex, owners })
    this.sessions = new Sessions(clock)
    this.usageReports = new UsageReports(clock)
    this.source = new HandoffSource({ pool, clock })
    this.puller = new Puller({ pool, runtime, background })
    const { puller, persistedChunks } = this
    this.objects = new Objects(this.table, {
      clock,
      lowerReads,
      fetch: (job, { index, bucket, key }, entry) =>
        puller.fetch(job, index, { bucket, key: keyString(key), ...entry, chunk: null }),
    })
    this.batch = new BatchObjects(this.table, clock)
    this.largeObjects = new LargeObjects(this.table, {
      clock,
      lowerReads,
      fetch: (job, { place, groupKey, version, index }) => {
        const { bytes = 0, tier = RAM } = place.slot.chunks.find(groupKey, index) ?? {}
        const { bucket } = place
        const item = { bucket, key: keyString(place.key), version, bytes, tier, chunk: { groupKey, index } }
        return puller.fetch(job, place.index, item)
      },
      readPersisted: (job, chunk) => persistedChunks.fetch(job, chunk),
    })
    this.batchLowerReads = new BatchLowerReads(this.batch, { table: this.table, lowerReads })
    this.#bucketLookup = new BucketLookup({ pool, clock })
    this.listings = new Listings(clock)
    const { objects, largeObjects, batch } = this
    const chunks = new ChunkReader({ largeObjects, owners })
    this.persistence = new Persistence({ table, objects, largeObjects, chunks, store, mutex, clock })
    this.persistenceBatch = new PersistenceBatch(this.persistence, { objects, batch })
    this.recovery = new Recovery({
      store,
      runtime,
      bucketIds: (job) => placements.bucketIds(job),
      warn: options.warn,
    })
  }

  /**
   * The job of a connection, checked for the request's right and marked as used. Throws `FORBIDDEN` or
   * `STALE_PLACEMENT`.
   */
  jobOf(claims: Claims, right: 'read' | 'write', asked: Asked): NodeJob {
    requireRight(claims, right, asked)
    const job = this.requireJob(claims.job)
    job.used = true
    job.requests++
    return job
  }

  /** A job with slots here. Throws `STALE_PLACEMENT` if this node never had any. */
  requireJob(id: string): NodeJob {
    const job = this.jobs.get(id)
    if (job === undefined) throw stalePlacement('any slot of the job')
    return job
  }

  /** Applies the ownership that metadata has decided for a job. Returns the newly acquired slots. */
  own(request: Own): { job: NodeJob; taken: number[] } {
    if (request.slots === 0 || request.slots > SLOTS_MAX) throw violation(`a job has ${request.slots} slots`)
    this.checkOwnershipMessage(request)
    const job = this.#knownJob(request)
    if (request.term > job.term) job.setMetadataServer(request, this.#lease(request.metadata))
    if (request.revision >= job.revision) {
      job.revision = request.revision
      job.setBudgets(
        new Map([
          [RAM, { reservedBytes: request.ramBytes, bytesMax: request.ramBytesMax }],
          [SSD, { reservedBytes: request.ssdBytes, bytesMax: request.ssdBytesMax }],
          [S3, { reservedBytes: request.s3Bytes, bytesMax: request.s3BytesMax }],
        ]),
      )
      this.capacityRequests.changed(job)
      job.rate.reserve(request.bytesPerSecond)
      const { readsPerThousand } = request
      job.readsPerObject = readsPerThousand === null ? null : readsPerThousand / 1000
    }
    job.applyBuckets(request)
    const taken: number[] = []
    for (const { first, count, epoch, lost, origin, source } of request.owned) {
      if (first + count > job.owned.count)
        throw violation(`slots ${first} to ${first + count - 1} are out of range`)
      for (let index = first; index < first + count; index++)
        if (takeOver(job, { index, epoch, lost, origin, source })) taken.push(index)
    }
    job.owned.compact()
    return { job, taken }
  }

  /** Frees what a handoff has left behind. */
  drop(request: Drop): void {
    const { epoch, slots } = request
    const job = this.jobs.get(request.job)
    if (job === undefined) return
    this.checkOwnershipMessage(request)
    for (const slot of slots) {
      dropReleased(job, slot, epoch)
      cancelArrival(job, slot, epoch)
    }
  }

  /**
   * Frees every byte of a job: charges and RAM at once. Resolves when the lower tiers have freed their space
   * too. Never rejects.
   */
  async dropJob(id: string): Promise<void> {
    const job = this.jobs.get(id)
    if (job === undefined) return
    this.jobs.delete(id)
    this.sessions.dropJob(job)
    await this.#background.once(['endJob', id], async () => {
      const ended = job.end()
      this.capacityRequests.changed(job)
      await ended
    })
    this.#background.forget(id)
  }

  /** The known jobs of one metadata server, including those without slots here. */
  jobsOf(metadata: string): string[] {
    return [...this.jobs.values()].filter((job) => job.metadata === metadata).map(({ id }) => id)
  }

  /** Metadata servers of the known jobs. */
  get metadataServers(): Set<string> {
    return new Set([...this.jobs.values()].map(({ metadata }) => metadata))
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
      const job = this.jobs.get(id)
      if (job !== undefined && job.term < term) job.endLeaseRenewal()
    }
    const lease = this.#lease(metadata)
    lease.untilMs = Math.max(lease.untilMs, untilMs)
  }

  /** One bit per version: whether it is still needed. */
  versionsAlive({ job: id, versions }: VersionsAlive): Uint8Array {
    const job = this.requireJob(id)
    const alive = versions.flatMap((version, index) =>
      this.largeObjects.isAlive(job, version) ? [index] : [],
    )
    return bitmapOf(alive, versions.length)
  }

  /** The usage of each job; `elapsedMs` is the time since the last report. */
  report(elapsedMs: number): JobUsageReport[] {
    return this.usageReports.report(this.jobs.values(), elapsedMs)
  }

  /**
   * Throws `STALE_PLACEMENT` for a message of an earlier process of the metadata server, which has a lower
   * generation, or of a server that has transferred the job since.
   */
  checkOwnershipMessage({ job, metadata, generation, term }: OwnershipMessage): void {
    const known = this.#generations.get(metadata) ?? 0
    if (generation < known) {
      throw new MayflyError('STALE_PLACEMENT', `Generation ${generation} of the metadata server is over`)
    }
    this.#generations.set(metadata, generation)
    if (term < (this.jobs.get(job)?.term ?? 0)) {
      throw new MayflyError('STALE_PLACEMENT', `The metadata server at ${metadata} has handed the job on`)
    }
  }

  #knownJob({ job: id, slots, metadata, term }: Own): NodeJob {
    let job = this.jobs.get(id)
    if (job === undefined) {
      const { clock } = this.#runtime
      job = new NodeJob(
        { id, slots, metadata, term },
        {
          tier: this.ram,
          arena: this.arena,
          clock,
          lease: this.#lease(metadata),
          lower: this.lower,
          underWay: this.underWay,
          background: this.#background,
          onHigh: (over) => this.demoter.start(over),
          onFilling: (filling) => this.capacityRequests.want(filling),
        },
      )
      const known = job
      known.buckets.onUnknown = () => void this.#bucketLookup.ask(known)
      this.jobs.set(id, job)
    }
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

function lowerTiers({ ssd, s3 }: NodeOptions): LowerTier[] {
  const lower: LowerTier[] = []
  if (ssd !== null) lower.push({ number: SSD, store: ssd.store, budget: new TierBudget(ssd.bytes) })
  if (s3 !== null) lower.push({ number: S3, store: s3, budget: new TierBudget(Number.POSITIVE_INFINITY) })
  return lower
}
