import { assert } from '../../protocol/assert.ts'
import { NOBODY, type PlacedNode, type Placement } from '../../protocol/model/placement.ts'
import type { JobRecord } from './job-record.ts'
import { indexed, ownersOf } from './slot-table.ts'

/**
 * The placement that clients are shown: for each slot the last owner that has confirmed that it serves the slot. Its epoch rises with each
 * change and never passes the record's epoch, so it also rises across restarts.
 */
export class View {
  readonly #owners: (PlacedNode | null)[]
  /** For each slot, the epoch in which its owner was shown; the same node may have become owner again. */
  readonly #epochs: Uint32Array
  /** For each slot, the epoch in which its owner confirmed to this process that it serves the slot. */
  readonly #confirmed: Uint32Array
  #placement: Placement

  constructor(record: JobRecord) {
    this.#owners = ownersOf(record)
    this.#epochs = record.epochs.slice()
    this.#confirmed = new Uint32Array(record.owners.length)
    this.#placement = this.#build(record.epoch)
  }

  get placement(): Placement {
    return this.#placement
  }

  /**
   * Shows the slots that a node has confirmed to own. `confirmed` is the record that the node was sent; `now` is the current one, which may
   * have assigned some of the slots to others. Returns whether some slots became served.
   */
  show(node: PlacedNode, { confirmed: sent, now }: { confirmed: JobRecord; now: JobRecord }): boolean {
    const index = now.nodes.findIndex(({ id }) => id === node.id)
    let changed = false
    let confirmed = false
    for (let slot = 0; slot < now.owners.length; slot++) {
      const epoch = now.epochs[slot] ?? 0
      if (now.owners[slot] !== index || sent.epochs[slot] !== epoch) continue
      confirmed ||= this.#confirmed[slot] !== epoch
      this.#confirmed[slot] = epoch
      if (this.#epochs[slot] === epoch) continue
      this.#owners[slot] = node
      this.#epochs[slot] = epoch
      changed = true
    }
    if (!changed) return confirmed
    assert(this.#placement.epoch < now.epoch, 'each change that is shown has taken an epoch of the record')
    this.#placement = this.#build(this.#placement.epoch + 1)
    return confirmed
  }

  /** Whether the slot's owner has confirmed that it serves it. Confirmations to an earlier process do not count; nodes are asked again. */
  isServed(slot: number, { owners, epochs }: JobRecord): boolean {
    return owners[slot] !== NOBODY && this.#confirmed[slot] === epochs[slot]
  }

  /** Whether no change of the slot's owner is under way: the owner is shown and is not about to change. */
  isStable(slot: number, { owners, nodes, moves }: JobRecord): boolean {
    const shown = this.#owners[slot]
    if (shown === undefined) return true
    if (shown === null || nodes[owners[slot] ?? NOBODY]?.id !== shown.id) return false
    return !moves.some((move) => !move.published && move.slots.includes(slot))
  }

  #build(epoch: number): Placement {
    return { epoch, ...indexed(this.#owners) }
  }
}
