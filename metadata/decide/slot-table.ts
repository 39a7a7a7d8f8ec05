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
    this.owners = Array.from(record.owners, (owner) => record.nodes[owner] ?? null)
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
    const nodes = new Map<string, PlacedNode>()
    for (const owner of this.owners) if (owner !== null) nodes.set(owner.id, owner)
    const indices = new Map([...nodes.keys()].map((id, index) => [id, index]))
    return {
      ...this.#record,
      nodes: [...nodes.values()],
      owners: Uint16Array.from(this.owners, (owner) => indices.get(owner?.id ?? '') ?? NOBODY),
      epochs: this.#epochs,
      mayHaveLost: this.#mayHaveLost,
      origins: this.#origins,
    }
  }
}
