import { BlockMap } from './block-map.ts'

/** What memory is given out in. Payloads that lie in blocks of their own are rounded up to it: 1 KiB is 6 % of the smallest, on average. */
export const BLOCK_BYTES = 1024

/** Runs longer than this are not told apart: nothing asks for one that is longer. */
const RUN_BLOCKS_MAX = 2048

/** A large piece of memory, cut into blocks. A page of memory that was never written costs nothing yet. */
export class Slab {
  readonly bytes: Buffer
  /** The same memory. */
  readonly words: Uint32Array
  /** For each block of a page of records, how many blocks before it the page begins. */
  readonly pageOffsets: Uint8Array
  readonly #taken: BlockMap
  /** No free run is longer than this. */
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

  /** The first of `blocks` free blocks in a row, which are taken now; -1 where there are none. */
  take(blocks: number): number {
    if (blocks > this.freeBlocks || blocks > this.#longestMax) return -1
    let first = this.#taken.findFree(blocks, this.#cursor)
    if (first < 0 && this.#cursor > 0) first = this.#taken.findFree(blocks, 0)
    if (first < 0) this.#longestMax = this.#taken.longestFree()
    else this.#take(first, blocks)
    return first
  }

  /** Takes free runs of `least` blocks or more, until they have `blocks` together, and tells of each. */
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

  /** Frees all that one owner has here. Returns how many blocks that were. */
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
