import { MayflyError } from '../protocol/errors.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { JobBudget, TierBudget } from './budget.ts'
import type { Slot } from './slot.ts'
import { removeBucket, slotCharge, slotObjects } from './slot.ts'
import { failWaits } from './waits.ts'

/** How long a metadata server lets this node serve, in monotonic ms. One object for all of the server's jobs. */
export interface Lease {
  untilMs: number
}

/** A slot that this node has released and keeps the bytes of, or one whose index is arriving. */
export interface Moving {
  readonly slot: Slot
  readonly epoch: number
}

export interface Arriving extends Moving {
  /** Of the index. */
  nextPage: number
  complete: boolean
}

/** One job on this node: the slots that it owns here, its budget and what it has used of it. */
export class JobSpace {
  readonly id: string
  /** Slots that are owned, by their number. */
  readonly slots: (Slot | undefined)[]
  readonly leaving = new Map<number, Moving>()
  readonly arriving = new Map<number, Arriving>()
  /** For each slot the epoch of the newest word about it: an older one that comes late changes nothing. */
  readonly epochs: Uint32Array
  /** For each slot the last epoch of a handoff to this node that was given up. */
  readonly refused: Uint32Array
  /** Address of the job's metadata server. */
  readonly metadata: string
  /** Of the budget that was told last. */
  revision = 0
  readonly droppedBuckets = new Set<number>()
  objects = 0
  /** Payload bytes in and out since the last report. */
  movedBytes = 0
  /** In monotonic ms. */
  lastUseMs: number
  readonly #lease: Lease
  readonly #clock: Clock
  readonly #tier: TierBudget
  #budget: JobBudget = { reservedBytes: 0, bytesMax: 0, usedBytes: 0 }
  #ended = false

  constructor(
    job: { id: string; slots: number; metadata: string },
    options: { tier: TierBudget; clock: Clock; lease: Lease },
  ) {
    this.id = job.id
    this.metadata = job.metadata
    this.slots = new Array(job.slots)
    this.epochs = new Uint32Array(job.slots)
    this.refused = new Uint32Array(job.slots)
    this.#clock = options.clock
    this.#lease = options.lease
    this.lastUseMs = options.clock.monotonicMs()
    this.#tier = options.tier
    this.#tier.change(null, this.#budget)
  }

  get usedBytes(): number {
    return this.#budget.usedBytes
  }

  /** False where the node once had a part in the job and has none now. */
  get present(): boolean {
    return this.leaving.size > 0 || this.arriving.size > 0 || this.slots.some((slot) => slot !== undefined)
  }

  setBudget(reservedBytes: number, bytesMax: number): void {
    this.#replaceBudget({ ...this.#budget, reservedBytes, bytesMax })
  }

  /** The slot, if this node owns it and may serve it. Throws `STALE_PLACEMENT`, `JOB_ENDED` or `UNAVAILABLE`. */
  ownedSlot(index: number): Slot {
    if (this.#ended) throw new MayflyError('JOB_ENDED', `Job ${this.id} has ended`)
    const slot = this.slots[index]
    if (slot === undefined) throw stalePlacement(`slot ${index} of the job`)
    if (!this.hasLease) throw leaseLapsed()
    return slot
  }

  /** Since the Unix epoch, by this node's clock. */
  get wallMs(): number {
    return this.#clock.wallMs()
  }

  /** Without it none of the job's slots may be served. */
  get hasLease(): boolean {
    return this.#lease.untilMs > this.#clock.monotonicMs()
  }

  /** Throws `CAPACITY_EXCEEDED`, with nothing changed, if the job may not use `bytes` more. */
  admit(bytes: number): void {
    this.#tier.admit(this.#budget, bytes)
  }

  /** Books bytes that were admitted, or, negative, freed. */
  charge(bytes: number): void {
    if (!this.#ended) this.#replaceBudget({ ...this.#budget, usedBytes: this.#budget.usedBytes + bytes })
  }

  /** Forgets every object of a bucket, for good: its id is never used again. */
  dropBucket(bucket: number): void {
    this.droppedBuckets.add(bucket)
    for (const slot of this.#everySlot()) {
      this.account(slot, -1)
      removeBucket(slot, bucket)
      this.account(slot, 1)
    }
  }

  /** Counts a slot with all that it holds in, or out. */
  account(slot: Slot, change: 1 | -1): void {
    this.objects += change * slotObjects(slot)
    this.charge(change * slotCharge(slot))
  }

  /** Gives all bytes back at once; whoever waits for a key is told. */
  end(): void {
    this.#tier.change(this.#budget, null)
    this.#ended = true
    for (const slot of this.slots) {
      if (slot !== undefined) failWaits(slot, new MayflyError('JOB_ENDED', `Job ${this.id} has ended`))
    }
  }

  *#everySlot(): Generator<Slot> {
    for (const slot of this.slots) if (slot !== undefined) yield slot
    for (const { slot } of this.leaving.values()) yield slot
    for (const { slot } of this.arriving.values()) yield slot
  }

  #replaceBudget(budget: JobBudget): void {
    this.#tier.change(this.#budget, budget)
    this.#budget = budget
  }
}

export function leaseLapsed(): MayflyError {
  return new MayflyError('UNAVAILABLE', 'The node has not heard from metadata for longer than its lease')
}

export function stalePlacement(what: string): MayflyError {
  return new MayflyError('STALE_PLACEMENT', `This node does not own ${what}`)
}
