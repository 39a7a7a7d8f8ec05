import { MayflyError } from '../../protocol/errors.ts'
import { JOB_OVERHEAD_BYTES, SLOT_OVERHEAD_BYTES } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Landing } from '../../protocol/wire/frame.ts'
import type { Background } from '../../service/process/background.ts'
import type { JobBudget, TierBudget } from '../budget/budget.ts'
import { JobTokenBucket } from '../budget/token-bucket.ts'
import { type NodeUnderWay, UnderWay } from '../budget/under-way.ts'
import type { Arena } from '../memory/arena.ts'
import { JobMemory } from '../memory/job-memory.ts'
import { bytesApart } from '../memory/record.ts'
import { OwnedSlots } from '../slot/owned-slots.ts'
import { Slot } from '../slot/slot.ts'
import { removeMatching, SweepPauses } from '../slot/sweep-scan.ts'
import { failWaits, failWaitsIn } from '../slot/waits.ts'
import { JobTiers, type LowerTier, RAM } from '../tiers/job-tiers.ts'
import { GROWTH_WATERMARK, TIER_HIGH_WATERMARK, TIER_LOW_WATERMARK } from '../tiers/limits.ts'
import { type BucketsMessage, JobBuckets } from './buckets.ts'
import { JobCounters } from './counters.ts'
import { removeDeletedBuckets } from './deleted-buckets.ts'

/** How long a metadata server lets this node serve, in monotonic ms. One object for all of the server's jobs. */
export interface Lease {
  untilMs: number
}

/** A slot that this node has released and keeps the bytes of, or one whose index is arriving. */
export interface MovingSlot {
  readonly slot: Slot
  readonly epoch: number
}

export interface ArrivingSlot extends MovingSlot {
  /** Of the index. */
  nextPage: number
  complete: boolean
}

/** One job on this node: the slots that it owns here, its budget and what it has used of it. */
export class NodeJob {
  readonly id: string
  readonly owned: OwnedSlots
  readonly released = new Map<number, MovingSlot>()
  readonly arriving = new Map<number, ArrivingSlot>()
  /** Address of the metadata server that decides for the job. */
  metadata: string
  /** How often the job had been handed from one metadata server to another when this one got it. */
  term: number
  /** Of the budget that was told last. */
  revision = 0
  readonly buckets: JobBuckets
  /** Whether it had an object here that outlives it, or has one on its way: all others go past the kept store at the cost of this word. */
  persists = false
  readonly memory: JobMemory
  /** What it has below RAM. */
  readonly tiers: JobTiers
  /** Whether objects leave RAM for the tiers below: a job that has RAM alone goes past all of that at the cost of this word. */
  spills = false
  /** How often each of its objects is read, where that is known. */
  readsPerObject: number | null = null
  readonly counters = new JobCounters()
  readonly underWay: UnderWay
  objects = 0
  /** Payload bytes in and out since the last report. */
  movedBytes = 0
  /** By a client, since the last report: to ask the clock at every request costs more than to find the job. */
  used = false
  /** When a report found it used last, in monotonic ms. */
  lastUseMs: number
  /** Requests carried out since the last of them were paid for. */
  requests = 0
  /** Of `movedBytes`. */
  #meteredBytes = 0
  readonly rate: JobTokenBucket
  #lease: Lease
  /** What the metadata server before this one had granted for the job, in monotonic ms. */
  #previousLeaseUntilMs = Number.NEGATIVE_INFINITY
  readonly #clock: Clock
  readonly #tier: TierBudget
  #overheadBytes = 0
  readonly #onHigh: (job: NodeJob) => void
  readonly #onFilling: (job: NodeJob) => void
  readonly #background: Background
  #budget: JobBudget = { reservedBytes: 0, bytesMax: 0, usedBytes: 0 }
  /** Of the RAM that is in use: above it objects begin to leave. */
  #highBytes = Number.POSITIVE_INFINITY
  /** Of the RAM that is in use: above it more is wanted. Infinity once that was said. */
  #growthBytes = Number.POSITIVE_INFINITY
  #ended = false
  #isAdmitted = false
  /** A step of the event loop is under way that began with a lease. */
  #isLeaseChecked = false
  /** The removal of dropped buckets. */
  #bucketRemoval: Promise<unknown> = Promise.resolve()
  /** Another one is to follow. */
  #isRemovalQueued = false

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
      /** Told whenever the job's RAM is above its high watermark. */
      onHigh: (job: NodeJob) => void
      /** Told once for each budget, when the job's RAM is above `GROWTH_WATERMARK` of it. */
      onFilling: (job: NodeJob) => void
    },
  ) {
    this.id = job.id
    this.metadata = job.metadata
    this.term = job.term
    this.owned = new OwnedSlots(job.slots, (word) => this.createSlot(word))
    this.#clock = options.clock
    this.buckets = new JobBuckets(options.clock)
    this.#lease = options.lease
    this.lastUseMs = options.clock.monotonicMs()
    this.rate = new JobTokenBucket(this.lastUseMs)
    this.#tier = options.tier
    this.#tier.change(null, this.#budget)
    this.chargeOverhead(JOB_OVERHEAD_BYTES)
    this.memory = new JobMemory(options.arena, (bytes) => this.charge(bytes))
    this.tiers = new JobTiers(job.id, options.lower)
    this.underWay = new UnderWay(options.underWay)
    this.#onHigh = options.onHigh
    this.#onFilling = options.onFilling
    this.#background = options.background
  }

  /** What the slots hold that are owned and were touched, by their number. */
  get slots(): readonly (Slot | undefined)[] {
    return this.owned.touched
  }

  /** Of RAM. */
  get usedBytes(): number {
    return this.#budget.usedBytes
  }

  /** False where the node once had a part in the job and has none now. */
  get hasSlots(): boolean {
    return this.released.size > 0 || this.arriving.size > 0 || this.owned.any
  }

  /** Ends with `discard`. */
  createSlot(start: { epoch: number; mayHaveLost: boolean }): Slot {
    this.chargeOverhead(SLOT_OVERHEAD_BYTES)
    return new Slot(this, start)
  }

  /** Of memory that the job itself takes on the node, beside what it stores. */
  get overheadBytes(): number {
    return this.#overheadBytes
  }

  /** Counts, or, negative, counts no more what is held on behalf of the job, beside what it stores. */
  chargeOverhead(bytes: number): void {
    if (this.#ended) return
    this.#overheadBytes += bytes
    this.#tier.chargeOverhead(bytes)
  }

  /** What was done for the job since this was last asked. */
  takeUnmetered(): { requests: number; bytes: number } {
    const unpaid = { requests: this.requests, bytes: this.movedBytes - this.#meteredBytes }
    this.requests = 0
    this.#meteredBytes = this.movedBytes
    return unpaid
  }

  /** What the job moved since this was last asked. */
  takeMoved(): number {
    const moved = this.movedBytes
    this.#meteredBytes -= moved
    this.movedBytes = 0
    return moved
  }

  /** What the job may have on each tier, by its number. */
  setBudgets(budgets: ReadonlyMap<number, { reservedBytes: number; bytesMax: number }>): void {
    for (const [tier, budget] of budgets) if (tier !== RAM) this.tiers.setBudget(tier, budget)
    this.spills = this.tiers.any
    const { reservedBytes, bytesMax } = budgets.get(RAM) ?? { reservedBytes: 0, bytesMax: 0 }
    this.#highBytes = this.spills ? reservedBytes * TIER_HIGH_WATERMARK : Number.POSITIVE_INFINITY
    this.#growthBytes = reservedBytes * GROWTH_WATERMARK
    this.#replaceBudget({ ...this.#budget, reservedBytes, bytesMax })
  }

  get isOverHigh(): boolean {
    return this.usedBytes > this.#highBytes
  }

  get isOverLow(): boolean {
    return this.spills && this.usedBytes > this.#budget.reservedBytes * TIER_LOW_WATERMARK
  }

  /** Whether `bytes` more would leave its RAM below the high watermark, and are there. */
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

  /** As `ownedSlot`, for who only looks: undefined where nothing has touched the slot. */
  touchedSlot(index: number): Slot | undefined {
    if (this.slots[index] !== undefined || this.#ended || !this.owned.owns(index))
      return this.ownedSlot(index)
    if (!this.#isLeaseChecked) this.requireLease()
    return undefined
  }

  /**
   * Runs a step of the event loop that looks at many keys: the lease that it begins with holds until it ends. To ask for it
   * at every key costs a sixth of what it takes to put one.
   */
  inOneStep<Result>(step: () => Result): Result {
    this.#isLeaseChecked = this.hasLease
    try {
      return step()
    } finally {
      this.#isLeaseChecked = false
    }
  }

  /**
   * Carries out what had begun while the node might serve the slot and the job had room for it: also where its lease lapsed since,
   * the slot is given away or the budget is smaller.
   */
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

  /** Without it none of the job's slots may be served. */
  get hasLease(): boolean {
    const nowMs = this.#clock.monotonicMs()
    return this.#lease.untilMs > nowMs || this.#previousLeaseUntilMs > nowMs
  }

  /** Throws `UNAVAILABLE` without one. */
  requireLease(): void {
    if (!this.hasLease) throw leaseLapsed()
  }

  /**
   * The job is in other hands: its metadata server renews its lease no more. What it had granted stays, for the next one
   * gives this node's slots to nobody before that has lapsed.
   */
  endLeaseRenewal(): void {
    this.#previousLeaseUntilMs = Math.max(this.#previousLeaseUntilMs, this.#lease.untilMs)
    this.#lease = { untilMs: Number.NEGATIVE_INFINITY }
  }

  /** Another metadata server decides for the job from now on, under a lease of its own. */
  setMetadataServer(server: { metadata: string; term: number }, lease: Lease): void {
    this.endLeaseRenewal()
    this.metadata = server.metadata
    this.term = server.term
    this.#lease = lease
  }

  /** Throws `CAPACITY_EXCEEDED`, with nothing changed, if the job may not use `bytes` more of RAM. */
  admit(bytes: number): void {
    if (!this.#isAdmitted) this.#tier.admit(this.#budget, bytes)
  }

  /** Memory for a payload that is on its way; null where it has to be received elsewhere first. */
  land(payloadBytes: number): Landing | null {
    const apartBytes = bytesApart(payloadBytes)
    if (apartBytes === 0 || !this.#tier.admits(this.#budget, apartBytes)) return null
    const bytes = this.memory.expect(payloadBytes)
    return bytes === null ? null : { bytes, abandon: () => this.memory.abandon(bytes) }
  }

  /** Books bytes that were admitted, or, negative, freed. */
  charge(bytes: number): void {
    if (this.#ended || bytes === 0) return
    const { reservedBytes, bytesMax, usedBytes } = this.#budget
    this.#replaceBudget({ reservedBytes, bytesMax, usedBytes: usedBytes + bytes })
  }

  /** Takes metadata's word about the job's buckets, and frees what is in those that are deleted. */
  applyBuckets({ revision, buckets }: { revision: number; buckets: BucketsMessage }): void {
    if (!this.buckets.apply(revision, buckets)) return
    for (const slot of this.everySlot()) failWaitsIn(slot, (bucket) => this.buckets.isDeleted(bucket))
    if (this.#isRemovalQueued) return
    this.#isRemovalQueued = true
    this.#bucketRemoval = this.#bucketRemoval.then(() => {
      this.#isRemovalQueued = false
      return this.#background.attempt(['dropBuckets', this.id], () => removeDeletedBuckets(this, this.#clock))
    })
  }

  /** Resolves when all that was in dropped buckets is freed. */
  get bucketsRemoved(): Promise<unknown> {
    return this.#bucketRemoval
  }

  /** Those that are owned, those that are given away and those that are on their way here. */
  *everySlot(): Generator<Slot> {
    for (const slot of this.slots) if (slot !== undefined) yield slot
    for (const { slot } of this.released.values()) yield slot
    for (const { slot } of this.arriving.values()) yield slot
  }

  /** Runs a change of a slot that counts against the job, and counts what it changed, also if it throws. */
  track<Result>(slot: Slot, change: () => Result): Result {
    const bytes = slot.chargedBytes
    const objects = slot.objects.size
    try {
      return change()
    } finally {
      this.charge(slot.chargedBytes - bytes)
      this.objects += slot.objects.size - objects
    }
  }

  /** Frees a slot with all that it holds: what it counts at once, its memory in steps. */
  discard(slot: Slot): void {
    this.objects -= slot.objects.size
    this.charge(-slot.chargedBytes)
    this.chargeOverhead(-SLOT_OVERHEAD_BYTES)
    slot.discarded = true
    void this.#background.once(['freeSlot', this.id], () => this.#free(slot))
  }

  /**
   * Gives all bytes back at once; whoever waits for a key is told. Resolves when the tiers below RAM have their space back, and
   * rejects where one of them cannot have it.
   */
  end(): Promise<void> {
    this.#tier.change(this.#budget, null)
    this.chargeOverhead(-this.#overheadBytes)
    this.#ended = true
    this.memory.end()
    const left = this.tiers.end()
    const hasEnded = (): MayflyError => new MayflyError('JOB_ENDED', `Job ${this.id} has ended`)
    for (const slot of this.slots) if (slot !== undefined) failWaits(slot, hasEnded)
    return left
  }

  async #free(slot: Slot): Promise<void> {
    const pace = new SweepPauses(this.#clock, 0)
    for (const groupKey of slot.chunks.groups.keys()) slot.chunks.removeGroup(groupKey)
    for (let from: number | null = 0; from !== null; ) {
      from = removeMatching(slot, from, () => true)
      const pause = pace.stepped()
      if (pause !== null) await pause
    }
    slot.objects.releaseTable()
  }

  #replaceBudget(budget: JobBudget): void {
    this.#tier.change(this.#budget, budget)
    this.#budget = budget
    if (this.isOverHigh) this.#onHigh(this)
    if (budget.usedBytes > this.#growthBytes) {
      this.#growthBytes = Number.POSITIVE_INFINITY
      this.#onFilling(this)
    }
  }
}

export function leaseLapsed(): MayflyError {
  return new MayflyError('UNAVAILABLE', 'The node has not heard from metadata for longer than its lease')
}

export function stalePlacement(what: string): MayflyError {
  return new MayflyError('STALE_PLACEMENT', `This node does not own ${what}`)
}
