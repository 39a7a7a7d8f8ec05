import type { Slot } from './slot.ts'
import { SlotNumbers } from './slot-numbers.ts'

/** Flags of a slot. */
const OWNED = 1
const MAY_HAVE_LOST = 2

const nothingTouched: readonly undefined[] = []

/**
 * The slots of a job that this node owns. An unused slot takes no memory: only a few numbers are known of it,
 * which most slots share, and its `Slot` is created on first use.
 */
export class OwnedSlots {
  /** All slots of the job, whoever owns them. */
  readonly count: number
  /** The owned slots that hold anything, by number. */
  touched: readonly (Slot | undefined)[] = nothingTouched
  /** Per slot, the epoch of the newest ownership message: older ones are ignored. */
  readonly epochs: SlotNumbers
  /** Per slot, the epoch of the last cancelled handoff to this node. */
  readonly refused: SlotNumbers
  readonly #marks: SlotNumbers
  readonly #createSlot: (start: { epoch: number; mayHaveLost: boolean }) => Slot
  #owned = 0

  constructor(count: number, make: (start: { epoch: number; mayHaveLost: boolean }) => Slot) {
    this.count = count
    this.epochs = new SlotNumbers(count)
    this.refused = new SlotNumbers(count)
    this.#marks = new SlotNumbers(count)
    this.#createSlot = make
  }

  get any(): boolean {
    return this.#owned > 0
  }

  owns(index: number): boolean {
    return (this.#marks.get(index) & OWNED) !== 0
  }

  /** Whether an owner of the slot has died. */
  mayHaveLost(index: number): boolean {
    return (this.#marks.get(index) & MAY_HAVE_LOST) !== 0
  }

  /** The node owns the slot from here on. It starts with the content of `slot`, or empty if that is null. */
  acquire(index: number, { slot, mayHaveLost }: { slot: Slot | null; mayHaveLost: boolean }): void {
    if (!this.owns(index)) this.#owned++
    this.#marks.set(index, mayHaveLost ? OWNED | MAY_HAVE_LOST : OWNED)
    if (slot !== null) this.#writable()[index] = slot
  }

  /** The node no longer owns the slot. */
  release(index: number): void {
    if (this.owns(index)) this.#owned--
    this.#marks.set(index, 0)
    if (this.touched[index] !== undefined) this.#writable()[index] = undefined
  }

  /** Creates an owned slot on first use; undefined if it is not owned. */
  touch(index: number): Slot | undefined {
    const known = this.touched[index]
    if (known !== undefined || !this.owns(index)) return known
    const slot = this.#createSlot({ epoch: this.epochs.get(index), mayHaveLost: this.mayHaveLost(index) })
    this.#writable()[index] = slot
    return slot
  }

  /** Frees per-slot numbers that are the same for all slots again. */
  compact(): void {
    this.epochs.compact()
    this.refused.compact()
    this.#marks.compact()
  }

  #writable(): (Slot | undefined)[] {
    if (this.touched.length === 0) this.touched = new Array(this.count)
    return this.touched as (Slot | undefined)[]
  }
}
