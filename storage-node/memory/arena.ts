import { assert } from '../../protocol/assert.ts'
import { ARENA_BYTES_MAX } from '../../protocol/limits.ts'
import type { BlockMap } from './block-map.ts'
import { BLOCK_BYTES, Slab } from './slab.ts'

/** What addresses count in: a u32 of them reaches 32 GiB. */
export const GRANULE_BYTES = 8
export const GRANULES_PER_BLOCK = BLOCK_BYTES / GRANULE_BYTES

/** In the place of an address: there is none. */
export const NOWHERE = -1

/**
 * Above 32 MiB glibc gives every allocation a mapping of its own, whatever it learned from earlier ones, so that an
 * empty slab goes back to the system as soon as it is collected.
 */
const SLAB_BYTES_MAX = 32 * 1024 * 1024
/** One chunk fits with room to spare. */
const SLAB_BYTES_MIN = 2 * 1024 * 1024
/** Small nodes have small slabs, so that an eighth of their memory is not one of them. */
const SLABS_OF_SMALL_NODE = 8

/**
 * What may be taken beyond the node's bytes, for room that no object is charged for: holes that removed objects leave
 * until their page is compacted, and the ends of pages. A part of it is given back by the index, which is charged for and lies elsewhere.
 */
const SLACK_FRACTION = 1 / 8
const SLACK_BYTES_MIN = 256 * 1024

/**
 * Of the node's bytes, so many stay in slabs in which nothing lies: what is overwritten is free seconds later, and memory that comes
 * anew from the system costs more than what is written into it.
 */
const EMPTY_FRACTION = 1 / 8

/** Compaction may take so many blocks more, which lie in slabs as well, or it could not begin where it is needed most. */
const COMPACTION_BLOCKS = 512

/** Somebody whose memory has holes, which he can close by moving what he has. */
export interface Compactable {
  readonly deadBytes: number
  /** Frees some memory; false if that is not possible. */
  compact(): boolean
}

/** Memory in which a node keeps objects: slabs, and which of their blocks are taken. */
export class Arena {
  readonly tenants = new Set<Compactable>()
  readonly slabBytes: number
  readonly #slabs: (Slab | undefined)[]
  readonly #slabBits: number
  readonly #blocksMax: number
  readonly #emptySlabsMax: number
  readonly #indexOf = new WeakMap<ArrayBufferLike, number>()
  #takenBlocks = 0
  #compacting = false

  constructor(capacityBytes: number) {
    assert(capacityBytes <= ARENA_BYTES_MAX, 'addresses reach as far as the arena')
    const bytesMax = capacityBytes + Math.max(SLACK_BYTES_MIN, capacityBytes * SLACK_FRACTION)
    const share = 2 ** Math.ceil(Math.log2(Math.max(1, capacityBytes / SLABS_OF_SMALL_NODE)))
    this.slabBytes = Math.min(SLAB_BYTES_MAX, Math.max(SLAB_BYTES_MIN, share))
    this.#slabBits = Math.log2(this.slabBytes / GRANULE_BYTES)
    this.#blocksMax = Math.ceil(bytesMax / BLOCK_BYTES)
    this.#emptySlabsMax = Math.max(1, Math.floor((capacityBytes * EMPTY_FRACTION) / this.slabBytes))
    const blocksOfSlab = this.slabBytes / BLOCK_BYTES
    this.#slabs = new Array(Math.ceil((this.#blocksMax + COMPACTION_BLOCKS) / blocksOfSlab))
  }

  /** Bytes that somebody has. */
  get takenBytes(): number {
    return this.#takenBlocks * BLOCK_BYTES
  }

  /** Bytes of the slabs that are there. */
  get slabsBytes(): number {
    return this.#slabs.reduce((sum, slab) => sum + (slab === undefined ? 0 : this.slabBytes), 0)
  }

  /** Moves what lies between holes, where there are most of them. False if that frees nothing. */
  compact(): boolean {
    let sparsest: Compactable | null = null
    for (const tenant of this.tenants) {
      if (sparsest === null || tenant.deadBytes > sparsest.deadBytes) sparsest = tenant
    }
    this.#compacting = true
    try {
      return sparsest?.compact() ?? false
    } finally {
      this.#compacting = false
    }
  }

  /** The address of `blocks` blocks in a row, which are taken now; `NOWHERE` if there are none. */
  take(blocks: number): number {
    if (blocks > this.roomBlocks) return NOWHERE
    let missing = NOWHERE
    for (let index = 0; index < this.#slabs.length; index++) {
      const slab = this.#slabs[index]
      if (slab === undefined) {
        if (missing === NOWHERE) missing = index
        continue
      }
      const first = slab.take(blocks)
      if (first >= 0) return this.#taken(index, first, blocks)
    }
    if (missing === NOWHERE || blocks > this.slabBytes / BLOCK_BYTES) return NOWHERE
    return this.#taken(missing, this.#addSlab(missing).take(blocks), blocks)
  }

  /**
   * Runs of so many blocks together, where no single one is long enough; null, with nothing taken, if there are not so many. Each
   * pass over the slabs takes runs a quarter as long as the one before it, so that many short ones are taken only where there are no
   * longer ones, and no run costs a search of its own.
   */
  takeRuns(blocks: number): readonly { at: number; blocks: number }[] | null {
    if (blocks > this.roomBlocks) return null
    const runs: { at: number; blocks: number }[] = []
    let missing = blocks
    const leastMax = Math.min(Math.ceil(blocks / 4), this.slabBytes / BLOCK_BYTES)
    for (let least = leastMax; missing > 0; least = Math.ceil(least / 4)) {
      for (let index = 0; index < this.#slabs.length && missing > 0; index++) {
        const slab = this.#slabs[index] ?? this.#addSlab(index)
        slab.takeRuns(least, missing, (first, count) => {
          missing -= count
          runs.push({ at: this.#taken(index, first, count), blocks: count })
        })
      }
      if (least === 1) break
    }
    if (missing === 0) return runs
    for (const run of runs) this.free(run.at, run.blocks)
    return null
  }

  free(at: number, blocks: number): void {
    this.#takenBlocks -= blocks
    const slab = this.slabOf(at)
    slab.free(this.blockOf(at), blocks)
    if (slab.isEmpty) this.#dropEmpty()
  }

  /** Frees all that one owner has in a slab. */
  freeAll(index: number, owned: BlockMap): void {
    const slab = this.#slabs[index]
    if (slab === undefined) return
    this.#takenBlocks -= slab.freeAll(owned)
    if (slab.isEmpty) this.#dropEmpty()
  }

  slabOf(at: number): Slab {
    return this.#slabs[at >>> this.#slabBits] as Slab
  }

  slabIndexOf(at: number): number {
    return at >>> this.#slabBits
  }

  /** In the slab. */
  granuleOf(at: number): number {
    return at & ((1 << this.#slabBits) - 1)
  }

  /** In the slab. */
  blockOf(at: number): number {
    return Math.floor(this.granuleOf(at) / GRANULES_PER_BLOCK)
  }

  /** A view of memory, not a copy: `bytes` from `offset` behind the address. */
  view(at: number, bytes: number, offset = 0): Buffer {
    const from = this.granuleOf(at) * GRANULE_BYTES + offset
    return this.slabOf(at).bytes.subarray(from, from + bytes)
  }

  /** The address of memory that `view` gave; `NOWHERE` for memory that lies elsewhere. */
  addressOf(bytes: Uint8Array): number {
    const index = this.#indexOf.get(bytes.buffer)
    return index === undefined ? NOWHERE : this.#address(index, bytes.byteOffset / GRANULE_BYTES)
  }

  /** Blocks that may be taken still. */
  get roomBlocks(): number {
    return this.#blocksMax + (this.#compacting ? COMPACTION_BLOCKS : 0) - this.#takenBlocks
  }

  #taken(index: number, first: number, blocks: number): number {
    this.#takenBlocks += blocks
    return this.#address(index, first * GRANULES_PER_BLOCK)
  }

  #address(index: number, granule: number): number {
    return index * 2 ** this.#slabBits + granule
  }

  #addSlab(index: number): Slab {
    const slab = new Slab(this.slabBytes)
    this.#slabs[index] = slab
    this.#indexOf.set(slab.bytes.buffer, index)
    return slab
  }

  /** Gives empty slabs back, all but the first few. */
  #dropEmpty(): void {
    let empty = 0
    this.#slabs.forEach((slab, index) => {
      if (slab === undefined || !slab.isEmpty) return
      if (empty >= this.#emptySlabsMax) this.#slabs[index] = undefined
      else empty++
    })
  }
}
