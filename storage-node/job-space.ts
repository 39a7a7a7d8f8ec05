import { MayflyError } from '../protocol/errors.ts'
import type { JobBudget, TierBudget } from './budget.ts'
import { chunkCharge, objectCharge, type Slot } from './slot.ts'

/** One job on this node: the slots that it owns here, its budget and what it has used of it. */
export class JobSpace {
  readonly id: string
  readonly slots: (Slot | undefined)[]
  /** Where the job's placement can be asked. */
  metadata = ''
  /** Of the metadata server's latest word about this job. */
  generation = 0
  /** When that word came, in monotonic ms. */
  toldMs = 0
  readonly droppedBuckets = new Set<number>()
  objects = 0
  /** Payload bytes in and out since the last report. */
  movedBytes = 0
  /** In monotonic ms. */
  lastUseMs: number
  readonly #tier: TierBudget
  #budget: JobBudget = { reservedBytes: 0, bytesMax: 0, usedBytes: 0 }

  constructor(id: string, options: { slots: number; tier: TierBudget; nowMs: number }) {
    this.id = id
    this.slots = new Array(options.slots)
    this.lastUseMs = options.nowMs
    this.#tier = options.tier
    this.#tier.change(null, this.#budget)
  }

  get usedBytes(): number {
    return this.#budget.usedBytes
  }

  setBudget(reservedBytes: number, bytesMax: number): void {
    this.#replaceBudget({ ...this.#budget, reservedBytes, bytesMax })
  }

  /** The slot, if this node owns it. Throws `STALE_PLACEMENT` if not. */
  ownedSlot(index: number): Slot {
    const slot = this.slots[index]
    if (slot === undefined) throw stalePlacement(`slot ${index} of the job`)
    return slot
  }

  /** Throws `CAPACITY_EXCEEDED`, with nothing changed, if the job may not use `bytes` more. */
  admit(bytes: number): void {
    this.#tier.admit(this.#budget, bytes)
  }

  /** Books bytes that were admitted, or, negative, freed. */
  charge(bytes: number): void {
    this.#replaceBudget({ ...this.#budget, usedBytes: this.#budget.usedBytes + bytes })
  }

  /** Forgets every object of a bucket, for good: its id is never used again. */
  dropBucket(bucket: number): void {
    this.droppedBuckets.add(bucket)
    for (const slot of this.slots) {
      if (slot === undefined) continue
      for (const [key, object] of slot.objects.get(bucket) ?? []) {
        slot.remove(bucket, key)
        this.objects--
        this.charge(-objectCharge(key.length, object))
      }
      slot.objects.delete(bucket)
      for (const [groupKey, group] of slot.chunks) {
        if (group.bucket !== bucket) continue
        for (const chunk of group.chunks.values()) this.charge(-chunkCharge(chunk))
        slot.chunks.delete(groupKey)
      }
    }
  }

  /** Gives all bytes back at once. The job must not be used after it. */
  release(): void {
    this.#tier.change(this.#budget, null)
  }

  #replaceBudget(budget: JobBudget): void {
    this.#tier.change(this.#budget, budget)
    this.#budget = budget
  }
}

export function stalePlacement(what: string): MayflyError {
  return new MayflyError('STALE_PLACEMENT', `This node does not own ${what}`)
}
