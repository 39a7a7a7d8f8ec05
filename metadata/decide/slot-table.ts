import { NOBODY, type PlacedNode } from '../../protocol/model/placement.ts'
import type { JobRecord } from './job-record.ts'

/**
 * A draft of a record's slots, addressed by node instead of by index: decisions change it and write it back. Arrays
 * are copied once, so the record that it came from stays as it was.
 */
export class SlotTable {
  readonly owners: (PlacedNode | null)[]
  readonly #record: JobRecord
  readonly #epochs: Uint32Array
  readonly #lost: Uint8Array
  readonly #origins: Uint8Array

  constructor(record: JobRecord) {
    this.#record = record
    this.owners = Array.from(record.owners, (owner) => record.nodes[owner] ?? null)
    this.#epochs = record.epochs.slice()
    this.#lost = record.lost.slice()
    this.#origins = record.origins.slice()
  }

  /** The slot has a new owner, from `epoch` on. */
  give(slot: number, to: { owner: PlacedNode; epoch: number; origin: number }): void {
    this.owners[slot] = to.owner
    this.#epochs[slot] = to.epoch
    this.#origins[slot] = to.origin
  }

  /** The slot's owner died with what it held. */
  lose(slot: number): void {
    this.owners[slot] = null
    this.#lost[slot] = 1
  }

  /** The record with the slots as they are here. */
  write(): JobRecord {
    const nodes = new Map<string, PlacedNode>()
    for (const owner of this.owners) if (owner !== null) nodes.set(owner.id, owner)
    const indices = new Map([...nodes.keys()].map((id, index) => [id, index]))
    return {
      ...this.#record,
      nodes: [...nodes.values()],
      owners: Uint16Array.from(this.owners, (owner) => indices.get(owner?.id ?? '') ?? NOBODY),
      epochs: this.#epochs,
      lost: this.#lost,
      origins: this.#origins,
    }
  }
}
