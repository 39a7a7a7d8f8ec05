import { assert } from '../../protocol/assert.ts'
import { ARENA_BYTES_MAX } from '../limits.ts'
import type { BlockMap } from './block-map.ts'
import { BLOCK_BYTES, Slab } from './slab.ts'

/** The unit of addresses: a u32 of them covers 32 GiB. */
export const GRANULE_BYTES = 8
export const GRANULES_PER_BLOCK = BLOCK_BYTES / GRANULE_BYTES

/** The address of nothing. */
export const NOWHERE = -1

/**
 * Above 32 MiB glibc maps each allocation separately, so an empty slab returns to the system as soon as it is
 * collected.
 */
const SLAB_BYTES_MAX = 32 * 1024 * 1024
/** One chunk fits, with room to spare. */
const SLAB_BYTES_MIN = 2 * 1024 * 1024
/** Small nodes have small slabs, so that a slab is at most an eighth of their memory. */
const SLABS_OF_SMALL_NODE = 8

/**
 * Memory beyond the node's bytes, for space that no object is charged for: holes of removed objects until
 * their page is compacted, and unused ends of pages. The index, charged but stored elsewhere, offsets a part
 * of it.
 */
const SLACK_FRACTION = 1 / 8
const SLACK_BYTES_MIN = 256 * 1024

/**
 * The share of the node's bytes that stays allocated in empty slabs: overwritten memory is reused within
 * seconds, and new memory from the system costs more than writing into it.
 */
const EMPTY_FRACTION = 1 / 8

/** Extra blocks that compaction may take, so that it can start in a full arena. They fit into slabs too. */
const COMPACTION_BLOCKS = 512

/** A tenant whose log can be compacted. */
export interface Compactable {
  readonly deadBytes: number
  /** Frees some memory; false if it cannot. */
  compact(): boolean
}

/** The memory that a node stores objects in: slabs, and which of their blocks are taken. */
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

  /** Bytes of taken blocks. */
  get takenBytes(): number {
    return this.#takenBlocks * BLOCK_BYTES
  }

  /** Bytes of all allocated slabs. */
  get slabsBytes(): number {
    return this.#slabs.reduce((sum, slab) => sum + (slab === undefined ? 0 : this.slabBytes), 0)
  }

  /** Compacts the tenant with the most dead bytes. False if that frees nothing. */
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

  /** Takes `blocks` contiguous blocks and returns their address; `NOWHERE` if there are none. */
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
   * Takes several runs of `blocks` blocks in total when no single run is long enough; null, with nothing
   * taken, if there are not so many. Each pass over the slabs accepts runs a quarter as long as the previous
   * one, so that short runs are used only without longer ones, and no run costs its own search.
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

  /** Frees all blocks of one owner in a slab. */
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

  /** Within its slab. */
  granuleOf(at: number): number {
    return at & ((1 << this.#slabBits) - 1)
  }

  /** Within its slab. */
  blockOf(at: number): number {
    return Math.floor(this.granuleOf(at) / GRANULES_PER_BLOCK)
  }

  /** A view, not a copy, of `bytes` bytes from `offset` after the address. */
  view(at: number, bytes: number, offset = 0): Buffer {
    const from = this.granuleOf(at) * GRANULE_BYTES + offset
    return this.slabOf(at).bytes.subarray(from, from + bytes)
  }

  /** The address of memory that `view` returned; `NOWHERE` for other memory. */
  addressOf(bytes: Uint8Array): number {
    const index = this.#indexOf.get(bytes.buffer)
    return index === undefined ? NOWHERE : this.#address(index, bytes.byteOffset / GRANULE_BYTES)
  }

  /** Blocks that may still be taken. */
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

  /** Frees empty slabs, except for the first few. */
  #dropEmpty(): void {
    let empty = 0
    this.#slabs.forEach((slab, index) => {
      if (slab === undefined || !slab.isEmpty) return
      if (empty >= this.#emptySlabsMax) this.#slabs[index] = undefined
      else empty++
    })
  }
}
