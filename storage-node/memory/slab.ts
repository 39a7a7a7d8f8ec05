import { BlockMap } from './block-map.ts'

/** The allocation unit. Payloads in runs are rounded up to it; on average it wastes 6 % of the smallest. */
export const BLOCK_BYTES = 1024

/** Longer runs are not tracked exactly, because nothing allocates longer ones. */
const RUN_BLOCKS_MAX = 2048

/** A large piece of memory, divided into blocks. The system assigns its pages on first write. */
export class Slab {
  readonly bytes: Buffer
  /** The same memory. */
  readonly words: Uint32Array
  /** For each block of a page of records, its distance from the start of the page. */
  readonly pageOffsets: Uint8Array
  readonly #taken: BlockMap
  /** Upper bound of the longest free run. */
  #longestMax: number
  #cursor = 0

  constructor(bytes: number) {
    const blocks = bytes / BLOCK_BYTES
    this.bytes = Buffer.allocUnsafeSlow(bytes)
    this.words = new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, bytes / 4)
    this.pageOffsets = new Uint8Array(blocks)
    this.#taken = new BlockMap(blocks)
    this.#longestMax = blocks
  }

  get isEmpty(): boolean {
    return this.#taken.takenBlocks === 0
  }

  get freeBlocks(): number {
    return this.#taken.blocks - this.#taken.takenBlocks
  }

  /** Takes `blocks` contiguous free blocks and returns the first; -1 if there are none. */
  take(blocks: number): number {
    if (blocks > this.freeBlocks || blocks > this.#longestMax) return -1
    let first = this.#taken.findFree(blocks, this.#cursor)
    if (first < 0 && this.#cursor > 0) first = this.#taken.findFree(blocks, 0)
    if (first < 0) this.#longestMax = this.#taken.longestFree()
    else this.#take(first, blocks)
    return first
  }

  /** Takes free runs of at least `least` blocks until they add up to `blocks`, and reports each. */
  takeRuns(least: number, blocks: number, taken: (first: number, blocks: number) => void): void {
    if (least > this.freeBlocks || least > this.#longestMax) return
    let missing = blocks
    let longest = 0
    for (let run = this.#taken.nextFree(0); run !== null; run = this.#taken.nextFree(run.end)) {
      const length = run.end - run.first
      if (length < least) longest = Math.max(longest, length)
      else {
        const count = Math.min(length, missing)
        this.#take(run.first, count)
        taken(run.first, count)
        missing -= count
        if (missing === 0) return
      }
    }
    this.#longestMax = longest
  }

  free(first: number, blocks: number): void {
    this.#taken.free(first, blocks)
    this.#longestMax = Math.max(this.#longestMax, this.#taken.freeAround(first, RUN_BLOCKS_MAX))
  }

  /** Frees all blocks of one owner. Returns their number. */
  freeAll(owned: BlockMap): number {
    const blocks = this.#taken.freeAll(owned)
    this.#longestMax = this.freeBlocks
    return blocks
  }

  #take(first: number, blocks: number): void {
    this.#taken.take(first, blocks)
    this.#cursor = first + blocks
  }
}
