import type { Slot } from './slot.ts'
import { SlotNumbers } from './slot-numbers.ts'

/** Marks of a slot. */
const OWNED = 1
const MAY_HAVE_LOST = 2

const nothingTouched: readonly undefined[] = []

/**
 * Which slots of a job this node owns. Of one that nothing has touched a few numbers are known, which are the same for most of
 * them: it takes no memory until somebody asks for what it holds.
 */
export class OwnedSlots {
  /** Of the job, whoever owns them. */
  readonly count: number
  /** What the slots hold that were touched, by their number. */
  touched: readonly (Slot | undefined)[] = nothingTouched
  /** For each slot the epoch of the newest word about it: an older one that comes late changes nothing. */
  readonly epochs: SlotNumbers
  /** For each slot the last epoch of a handoff to this node that was given up. */
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

  /** Whether an owner of a slot that is owned has died. */
  mayHaveLost(index: number): boolean {
    return (this.#marks.get(index) & MAY_HAVE_LOST) !== 0
  }

  /** From here on the node owns the slot, which begins with what `slot` has, or empty where that is null. */
  acquire(index: number, { slot, mayHaveLost }: { slot: Slot | null; mayHaveLost: boolean }): void {
    if (!this.owns(index)) this.#owned++
    this.#marks.set(index, mayHaveLost ? OWNED | MAY_HAVE_LOST : OWNED)
    if (slot !== null) this.#writable()[index] = slot
  }

  /** From here on the node does not own the slot. */
  release(index: number): void {
    if (this.owns(index)) this.#owned--
    this.#marks.set(index, 0)
    if (this.touched[index] !== undefined) this.#writable()[index] = undefined
  }

  /** What a slot that is owned holds, from here on in memory; undefined if it is not owned. */
  touch(index: number): Slot | undefined {
    const known = this.touched[index]
    if (known !== undefined || !this.owns(index)) return known
    const slot = this.#createSlot({ epoch: this.epochs.get(index), mayHaveLost: this.mayHaveLost(index) })
    this.#writable()[index] = slot
    return slot
  }

  /** Gives the memory back of numbers that are the same for all slots by now. */
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
