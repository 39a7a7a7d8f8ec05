import type { Claims } from '../protocol/model/token.ts'
import type { RequestOf } from '../protocol/operations/operation.ts'
import type { peerOperations } from '../protocol/operations/plane-operations.ts'
import type { JobUsageReport } from '../protocol/operations/reports.ts'
import type { Runtime } from '../protocol/runtime.ts'
import type { CallerPool } from '../protocol/transport/caller-pool.ts'
import { bitmapOf } from '../protocol/wire/bitmap.ts'
import type { Landing } from '../protocol/wire/frame.ts'
import type { PersistedStore } from '../service/persisted/persisted-store.ts'
import type { Background } from '../service/process/background.ts'
import { Turns } from '../service/server/turns.ts'
import { type Asked, requireRight } from './access.ts'
import { CapacityWait } from './admission/capacity-wait.ts'
import { TierBudget } from './budget/budget.ts'
import { NodeUnderWay } from './budget/under-way.ts'
import { Ownership } from './handoff/ownership.ts'
import { Puller } from './handoff/puller.ts'
import { HandoffSource } from './handoff/source.ts'
import { bytesByTier } from './job/counters.ts'
import { NodeJob, stalePlacement } from './job/job.ts'
import { KeyMutex } from './job/key-mutex.ts'
import { ObjectTable } from './job/object-table.ts'
import { BucketLookup } from './membership/bucket-lookup.ts'
import { PlacementCache } from './membership/placement-cache.ts'
import { UsageReports } from './membership/usage-reports.ts'
import { Votes } from './membership/votes.ts'
import { Arena } from './memory/arena.ts'
import { BatchObjects } from './operations/batch.ts'
import { BatchLowerReads } from './operations/batch-lower-reads.ts'
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
import { type LowerTier, RAM, S3, SSD } from './tiers/job-tiers.ts'
import type { TierStore } from './tiers/tier-store.ts'

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
  readonly arena: Arena
  readonly underWay = new NodeUnderWay()
  readonly ownership: Ownership
  readonly capacityWait: CapacityWait
  readonly objects: Objects
  readonly largeObjects: LargeObjects
  readonly batch: BatchObjects
  readonly batchLowerReads: BatchLowerReads
  readonly persistence: Persistence
  readonly persistenceBatch: PersistenceBatch
  readonly persistedChunks: PersistedChunks
  readonly recovery: Recovery
  readonly placements: PlacementCache
  /** The shares of the jobs in the time of the event loop. */
  readonly turns: Turns
  readonly listings: Listings
  readonly sessions: Sessions
  readonly usageReports: UsageReports
  readonly votes = new Votes()
  readonly source: HandoffSource
  readonly puller: Puller
  readonly #capacityRequests: CapacityRequests
  readonly #background: Background

  constructor(options: NodeOptions) {
    const { runtime, pool, background } = options
    const { clock } = runtime
    this.id = options.id
    this.ram = new TierBudget(options.ramBytes)
    this.lower = lowerTiers(options)
    this.arena = new Arena(options.ramBytes)
    this.#background = background
    const demoter = new Demoter(clock, background)
    const capacityRequests = new CapacityRequests({
      clock,
      background,
      ask: options.askCapacity,
      bytesOf: bytesByTier,
    })
    this.#capacityRequests = capacityRequests
    const bucketLookup = new BucketLookup({ pool, clock })
    this.ownership = new Ownership({
      onBudget: (job) => capacityRequests.changed(job),
      create: (job, lease) => {
        const { ram: tier, arena, lower, underWay } = this
        const onHigh = (over: NodeJob): void => void demoter.start(over)
        const onFilling = (filling: NodeJob): void => capacityRequests.want(filling)
        const node = { tier, arena, lower, underWay, clock, lease, background, onHigh, onFilling }
        const created = new NodeJob(job, node)
        created.buckets.onUnknown = () => void bucketLookup.ask(created)
        return created
      },
    })
    this.capacityWait = new CapacityWait({ demoter, capacityRequests, clock })
    const lowerReads = new LowerReads(demoter, clock)
    const table = new ObjectTable(clock)
    this.placements = new PlacementCache({ pool, clock })
    const { placements } = this
    const store = options.persisted
    const mutex = new KeyMutex()
    const owners = new OwnerCalls({ self: this.id, placements, pool, clock })
    this.persistedChunks = new PersistedChunks({ table, store, mutex, owners, clock })
    this.sessions = new Sessions(clock)
    this.usageReports = new UsageReports(clock)
    this.source = new HandoffSource({ pool, clock })
    this.puller = new Puller({ pool, runtime, background })
    const { puller, persistedChunks } = this
    this.objects = new Objects(table, {
      clock,
      lowerReads,
      fetch: (job, { index, bucket, key }, entry) =>
        puller.fetch(job, index, { bucket, key: keyString(key), ...entry, chunk: null }),
    })
    this.batch = new BatchObjects(table, clock)
    this.largeObjects = new LargeObjects(table, {
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
    this.batchLowerReads = new BatchLowerReads(this.batch, { table, lowerReads })
    this.turns = new Turns(clock)
    this.listings = new Listings(clock, this.turns)
    const { objects, largeObjects, batch } = this
    const chunks = new ChunkReader({ largeObjects, owners })
    this.persistence = new Persistence({ table, objects, largeObjects, chunks, store, mutex, clock })
    this.persistenceBatch = new PersistenceBatch(this.persistence, batch)
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
    job.noteRequest()
    return job
  }

  /** Memory of the job that a large payload is received into; null if there is no room. */
  landing({ job }: Claims, payloadBytes: number): Landing | null {
    return this.jobs.get(job)?.land(payloadBytes) ?? null
  }

  get jobs(): ReadonlyMap<string, NodeJob> {
    return this.ownership.jobs
  }

  /** A job with slots here. Throws `STALE_PLACEMENT` if this node never had any. */
  requireJob(id: string): NodeJob {
    const job = this.jobs.get(id)
    if (job === undefined) throw stalePlacement('any slot of the job')
    return job
  }

  /**
   * Frees every byte of a job: charges and RAM at once. Resolves when the lower tiers have freed their space
   * too. Never rejects.
   */
  async dropJob(id: string): Promise<void> {
    const job = this.jobs.get(id)
    if (job === undefined) return
    this.ownership.forget(id)
    this.sessions.dropJob(job)
    await this.#background.once(['endJob', id], async () => {
      const ended = job.end()
      this.#capacityRequests.changed(job)
      await ended
    })
    this.#background.forget(id)
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
}

function lowerTiers({ ssd, s3 }: NodeOptions): LowerTier[] {
  const lower: LowerTier[] = []
  if (ssd !== null) lower.push({ number: SSD, store: ssd.store, budget: new TierBudget(ssd.bytes) })
  if (s3 !== null) lower.push({ number: S3, store: s3, budget: new TierBudget(Number.POSITIVE_INFINITY) })
  return lower
}
