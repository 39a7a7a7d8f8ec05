import { NOBODY, type PlacedNode } from '../../protocol/model/placement.ts'
import type { JobRecord } from './job-record.ts'

/**
 * A mutable copy of a record's slots, addressed by node instead of by index. The arrays are copied once, so the original record is
 * unchanged.
 */
export class SlotTable {
  readonly owners: (PlacedNode | null)[]
  readonly #record: JobRecord
  readonly #epochs: Uint32Array
  readonly #mayHaveLost: Uint8Array
  readonly #origins: Uint8Array

  constructor(record: JobRecord) {
    this.#record = record
    this.owners = ownersOf(record)
    this.#epochs = record.epochs.slice()
    this.#mayHaveLost = record.mayHaveLost.slice()
    this.#origins = record.origins.slice()
  }

  /** Assigns the slot to a new owner, from `epoch` on. */
  give(slot: number, to: { owner: PlacedNode; epoch: number; origin: number }): void {
    this.owners[slot] = to.owner
    this.#epochs[slot] = to.epoch
    this.#origins[slot] = to.origin
  }

  /** The owner of the slot died; objects of the slot may have been lost. */
  markLost(slot: number): void {
    this.owners[slot] = null
    this.#mayHaveLost[slot] = 1
  }

  /** The record with these slots. */
  write(): JobRecord {
    return {
      ...this.#record,
      ...indexed(this.owners),
      epochs: this.#epochs,
      mayHaveLost: this.#mayHaveLost,
      origins: this.#origins,
    }
  }
}

/** The owner of each slot. */
export function ownersOf({ owners, nodes }: Pick<JobRecord, 'owners' | 'nodes'>): (PlacedNode | null)[] {
  const all = new Array<PlacedNode | null>(owners.length)
  for (let slot = 0; slot < owners.length; slot++) all[slot] = nodes[owners[slot] as number] ?? null
  return all
}

/** The inverse of `ownersOf`: the nodes in the order of their first slots, and for each slot the index of its owner. Of several objects with one id the last is taken. */
export function indexed(slots: readonly (PlacedNode | null)[]): Pick<JobRecord, 'owners' | 'nodes'> {
  const nodes: PlacedNode[] = []
  const indices = new Map<string, number>()
  const owners = new Uint16Array(slots.length)
  // Neighbours mostly have the same owner.
  let before: PlacedNode | null = null
  let index = NOBODY
  for (let slot = 0; slot < slots.length; slot++) {
    const owner = slots[slot] ?? null
    if (owner !== before) {
      before = owner
      index = owner === null ? NOBODY : (indices.get(owner.id) ?? nodes.length)
      if (owner !== null) {
        indices.set(owner.id, index)
        nodes[index] = owner
      }
    }
    owners[slot] = index
  }
  return { nodes, owners }
}
