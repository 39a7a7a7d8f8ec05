import type { Slot } from '../slot/slot.ts'

/** A slot that this node has released but still holds, or one whose index is arriving. */
export interface MovingSlot {
  readonly slot: Slot
  readonly epoch: number
}

export interface ArrivingSlot extends MovingSlot {
  /** The next expected page of the index. */
  nextPage: number
  complete: boolean
}
