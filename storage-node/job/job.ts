import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Landing } from '../../protocol/wire/frame.ts'
import type { Background } from '../../service/process/background.ts'
import { JobBudget, type NodeBudget, type TierBudget } from '../budget/budget.ts'
import { WAITS_PER_STEP } from '../budget/limits.ts'
import { StepBudget } from '../budget/step-budget.ts'
import { JobTokenBucket } from '../budget/token-bucket.ts'
import { type NodeUnderWay, UnderWay } from '../budget/under-way.ts'
import { JOB_OVERHEAD_BYTES, SLOT_OVERHEAD_BYTES } from '../limits.ts'
import type { Arena } from '../memory/arena.ts'
import { JobMemory } from '../memory/job-memory.ts'
import { bytesApart } from '../memory/record.ts'
import { OwnedSlots } from '../slot/owned-slots.ts'
import { Slot } from '../slot/slot.ts'
import { freeSlot } from '../slot/sweep-scan.ts'
import { failWaits, failWaitsIn } from '../slot/waits.ts'
import { JobTiers, type LowerTier, RAM } from '../tiers/job-tiers.ts'
import { GROWTH_WATERMARK, TIER_HIGH_WATERMARK, TIER_LOW_WATERMARK } from '../tiers/limits.ts'
import { type BucketsMessage, JobBuckets } from './buckets.ts'
import { JobCounters } from './counters.ts'
import { DeletedBuckets } from './deleted-buckets.ts'
import { IdleTime } from './idle-time.ts'
import { JobLease, type Lease, leaseLapsed } from './lease.ts'
import { LeaseBudget } from './lease-budget.ts'
import type { ArrivingSlot, MovingSlot } from './moving-slot.ts'

/** One job on this node: its slots here, its budget and its usage. */
export class NodeJob {
  readonly id: string
  readonly owned: OwnedSlots
  readonly released = new Map<number, MovingSlot>()
  readonly arriving = new Map<number, ArrivingSlot>()
  readonly buckets: JobBuckets
  readonly memory: JobMemory
  /** Its bytes and budgets below RAM. */
  readonly tiers: JobTiers
  readonly counters = new JobCounters()
  readonly underWay: UnderWay
  /** For parked gets that are answered or failed. */
  readonly waitSteps: StepBudget
  readonly leases = new LeaseBudget()
  /** Payload bytes in and out since the last report. */
  movedBytes = 0
  /** Requests since the rate was last charged. */
  requests = 0
  /** The part of `movedBytes` that the rate was charged for. */
  #meteredBytes = 0
  readonly rate: JobTokenBucket
  readonly lease: JobLease
  readonly idle: IdleTime
  #objects = 0
  /** Revision of the last budget. */
  #revision = 0
  #persists = false
  #spills = false
  #readsPerObject: number | null = null
  readonly #clock: Clock
  readonly #tier: TierBudget
  #overheadBytes = 0
  readonly #onHigh: (job: NodeJob) => void
  readonly #onFilling: (job: NodeJob) => void
  readonly #background: Background
  readonly #budget = new JobBudget()
  /** RAM usage above which objects begin to leave. */
  #highBytes = Number.POSITIVE_INFINITY
  /** RAM usage above which the job asks for more; infinity once it has asked. */
  #growthBytes = Number.POSITIVE_INFINITY
  #ended = false
  #isAdmitted = false
  /** The current step of the event loop began with a valid lease. */
  #isLeaseChecked = false
  readonly #deletedBuckets: DeletedBuckets

  constructor(
    job: { id: string; slots: number; metadata: string; term: number },
    options: {
      tier: TierBudget
      arena: Arena
      clock: Clock
      lease: Lease
      lower: readonly LowerTier[]
      underWay: NodeUnderWay
      background: Background
      /** Called whenever the job's RAM is above its high watermark. */
      onHigh: (job: NodeJob) => void
      /** Called once per budget, when the job's RAM passes `GROWTH_WATERMARK` of it. */
      onFilling: (job: NodeJob) => void
    },
  ) {
    this.id = job.id
    this.owned = new OwnedSlots(job.slots, (word) => this.createSlot(word))
    this.#clock = options.clock
    this.buckets = new JobBuckets(options.clock)
    this.lease = new JobLease(job, options)
    const nowMs = options.clock.monotonicMs()
    this.idle = new IdleTime(nowMs)
    this.rate = new JobTokenBucket(nowMs)
    this.#tier = options.tier
    this.chargeOverhead(JOB_OVERHEAD_BYTES)
    this.memory = new JobMemory(options.arena, (bytes) => this.charge(bytes))
    this.tiers = new JobTiers(job.id, options.lower)
    this.underWay = new UnderWay(options.underWay)
    this.waitSteps = new StepBudget(options.clock, WAITS_PER_STEP)
    this.#onHigh = options.onHigh
    this.#onFilling = options.onFilling
    this.#background = options.background
    this.#deletedBuckets = new DeletedBuckets(this, options)
  }

  /** Address of the metadata server that decides for the job. */
  get metadata(): string {
    return this.lease.metadata
  }

  /** How many times the job had been transferred between metadata servers when this server received it. */
  get term(): number {
    return this.lease.term
  }

  /** Number of objects in owned, released and arriving slots. */
  get objects(): number {
    return this.#objects
  }

  /** Whether the job has, or has had, persisted objects here. Jobs without any skip the persistent store with this one check. */
  get persists(): boolean {
    return this.#persists
  }

  /** The job has a persisted object here, or is about to have one. */
  notePersisted(): void {
    this.#persists = true
  }

  /** Whether objects may leave RAM for lower tiers. Jobs that use RAM alone skip all of that with this one check. */
  get spills(): boolean {
    return this.#spills
  }

  /** Expected reads per object; null if unknown. */
  get readsPerObject(): number | null {
    return this.#readsPerObject
  }

  /** A client has sent a request about the job. */
  noteRequest(): void {
    this.idle.note()
    this.requests++
  }

  /** The owned slots that hold anything, by number. */
  get slots(): readonly (Slot | undefined)[] {
    return this.owned.touched
  }

  /** Set aside for it in RAM. */
  get reservedBytes(): number {
    return this.#budget.reservedBytes
  }

  /** In RAM. */
  get usedBytes(): number {
    return this.#budget.usedBytes
  }

  /** False if the node no longer has any slot of the job. */
  get hasSlots(): boolean {
    return this.released.size > 0 || this.arriving.size > 0 || this.owned.any
  }

  /** Release it with `discard`. */
  createSlot(start: { epoch: number; mayHaveLost: boolean }): Slot {
    this.chargeOverhead(SLOT_OVERHEAD_BYTES)
    return new Slot(this, start)
  }

  /** Memory that the job takes on the node besides what it stores. */
  get overheadBytes(): number {
    return this.#overheadBytes
  }

  /** Charges memory held for the job besides what it stores; negative bytes release it. */
  chargeOverhead(bytes: number): void {
    if (this.#ended) return
    this.#overheadBytes += bytes
    this.#tier.chargeOverhead(bytes)
  }

  /** Requests since the last call. */
  takeUnmeteredRequests(): number {
    const { requests } = this
    this.requests = 0
    return requests
  }

  /** Bytes moved since the last call. */
  takeUnmeteredBytes(): number {
    const bytes = this.movedBytes - this.#meteredBytes
    this.#meteredBytes = this.movedBytes
    return bytes
  }

  /** Bytes that the job moved since the last call. */
  takeMoved(): number {
    const moved = this.movedBytes
    this.#meteredBytes -= moved
    this.movedBytes = 0
    return moved
  }

  /** Applies metadata's budget for the job here. False, with nothing changed, for an older revision. */
  applyBudget({ revision, tiers, bytesPerSecond, readsPerObject }: NodeBudget): boolean {
    if (revision < this.#revision) return false
    this.#revision = revision
    this.setBudgets(tiers)
    this.rate.reserve(bytesPerSecond)
    this.#readsPerObject = readsPerObject
    return true
  }

  /** Sets the budget of the job on each tier, by tier number. */
  setBudgets(budgets: NodeBudget['tiers']): void {
    for (const [tier, budget] of budgets) if (tier !== RAM) this.tiers.setBudget(tier, budget)
    this.#spills = this.tiers.any
    const { reservedBytes, bytesMax } = budgets.get(RAM) ?? { reservedBytes: 0, bytesMax: 0 }
    this.#highBytes = this.#spills ? reservedBytes * TIER_HIGH_WATERMARK : Number.POSITIVE_INFINITY
    this.#growthBytes = reservedBytes * GROWTH_WATERMARK
    this.#tier.resize(this.#budget, { reservedBytes, bytesMax })
    this.#checkUsage()
  }

  get isOverHigh(): boolean {
    return this.usedBytes > this.#highBytes
  }

  get isOverLow(): boolean {
    return this.#spills && this.usedBytes > this.#budget.reservedBytes * TIER_LOW_WATERMARK
  }

  /** Whether `bytes` more fit below the high watermark and within the node's capacity. */
  hasSpare(bytes: number): boolean {
    return this.usedBytes + bytes <= this.#highBytes && this.#tier.admits(this.#budget, bytes)
  }

  get ended(): boolean {
    return this.#ended
  }

  /** The slot, if this node owns it and may serve it. Throws `STALE_PLACEMENT`, `JOB_ENDED` or `UNAVAILABLE`. */
  ownedSlot(index: number): Slot {
    if (this.#ended) throw new MayflyError('JOB_ENDED', `Job ${this.id} has ended`)
    const slot =
      this.owned.touched[index] ??
      this.owned.touch(index) ??
      (this.#isAdmitted ? this.released.get(index)?.slot : undefined)
    if (slot === undefined) throw stalePlacement(`slot ${index} of the job`)
    if (!this.#isAdmitted && !this.#isLeaseChecked) this.requireLease()
    return slot
  }

  /** As `ownedSlot`, for readers: undefined if the owned slot holds nothing. */
  touchedSlot(index: number): Slot | undefined {
    if (this.slots[index] !== undefined || this.#ended || !this.owned.owns(index))
      return this.ownedSlot(index)
    if (!this.#isLeaseChecked) this.requireLease()
    return undefined
  }

  /** Runs a synchronous step over many keys with one lease check. Checking per key costs a sixth of a put. */
  inOneStep<Result>(step: () => Result): Result {
    this.#isLeaseChecked = this.hasLease
    try {
      return step()
    } finally {
      this.#isLeaseChecked = false
    }
  }

  /** Runs a change that was admitted earlier, even if the lease has lapsed, the slot was released or the budget was cut since. */
  runAdmitted<Result>(change: () => Result): Result {
    this.#isAdmitted = true
    try {
      return change()
    } finally {
      this.#isAdmitted = false
    }
  }

  /** Since the Unix epoch, by this node's clock. */
  get wallMs(): number {
    return this.#clock.wallMs()
  }

  /** Without a lease none of the job's slots may be served. */
  get hasLease(): boolean {
    return this.lease.isValid
  }

  /** Throws `UNAVAILABLE` without a lease. */
  requireLease(): void {
    if (!this.hasLease) throw leaseLapsed()
  }

  /** Throws `CAPACITY_EXCEEDED`, with nothing changed, if the job may not use `bytes` more of RAM. */
  admit(bytes: number): void {
    if (!this.#isAdmitted) this.#tier.admit(this.#budget, bytes)
  }

  /** Memory for an arriving payload; null if it has to be received elsewhere first. */
  land(payloadBytes: number): Landing | null {
    const apartBytes = bytesApart(payloadBytes)
    if (apartBytes === 0 || !this.#tier.admits(this.#budget, apartBytes)) return null
    const bytes = this.memory.expect(payloadBytes)
    return bytes === null ? null : { bytes, abandon: () => this.memory.abandon(bytes) }
  }

  /** Charges bytes that were admitted; negative bytes were freed. */
  charge(bytes: number): void {
    if (this.#ended || bytes === 0) return
    this.#tier.use(this.#budget, bytes)
    this.#checkUsage()
  }

  /** Applies metadata's list of the job's buckets and frees everything in deleted ones. */
  applyBuckets({ revision, buckets }: { revision: number; buckets: BucketsMessage }): void {
    if (!this.buckets.apply(revision, buckets)) return
    for (const slot of this.everySlot())
      failWaitsIn(slot, this.waitSteps, (bucket) => this.buckets.isDeleted(bucket))
    this.#deletedBuckets.remove()
  }

  /** Resolves when everything in deleted buckets is freed. */
  get bucketsRemoved(): Promise<unknown> {
    return this.#deletedBuckets.removed
  }

  /** Owned, released and arriving slots. */
  *everySlot(): Generator<Slot> {
    for (const slot of this.slots) if (slot !== undefined) yield slot
    for (const { slot } of this.released.values()) yield slot
    for (const { slot } of this.arriving.values()) yield slot
  }

  /** Counts objects that were stored in a slot; negative if they were removed. */
  countObjects(change: number): void {
    this.#objects += change
  }

  /** Runs a change of a slot and charges the job for what it changed, also if it throws. */
  track<Result>(slot: Slot, change: () => Result): Result {
    const bytes = slot.chargedBytes
    const objects = slot.objects.size
    try {
      return change()
    } finally {
      this.charge(slot.chargedBytes - bytes)
      this.#objects += slot.objects.size - objects
    }
  }

  /** Frees a slot with its content: the charge at once, the memory in steps. */
  discard(slot: Slot): void {
    this.#objects -= slot.objects.size
    this.charge(-slot.chargedBytes)
    this.chargeOverhead(-SLOT_OVERHEAD_BYTES)
    slot.discarded = true
    void this.#background.once(['freeSlot', this.id], () => freeSlot(slot, this.#clock))
  }

  /** Releases all bytes at once and fails waiting calls. Resolves when the lower tiers have freed their space; rejects if one cannot. */
  end(): Promise<void> {
    this.#tier.leave(this.#budget)
    this.chargeOverhead(-this.#overheadBytes)
    this.#ended = true
    this.memory.end()
    const left = this.tiers.end()
    const hasEnded = (): MayflyError => new MayflyError('JOB_ENDED', `Job ${this.id} has ended`)
    for (const slot of this.slots) if (slot !== undefined) failWaits(slot, this.waitSteps, hasEnded)
    return left
  }

  #checkUsage(): void {
    if (this.isOverHigh) this.#onHigh(this)
    if (this.usedBytes > this.#growthBytes) {
      this.#growthBytes = Number.POSITIVE_INFINITY
      this.#onFilling(this)
    }
  }
}

export function stalePlacement(what: string): MayflyError {
  return new MayflyError('STALE_PLACEMENT', `This node does not own ${what}`)
}
