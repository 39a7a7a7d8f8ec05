/** A bitmap of the taken blocks of a range. Adjacent free blocks merge implicitly. */
export class BlockMap {
  readonly blocks: number
  readonly #words: Uint32Array
  #takenBlocks = 0

  /** `blocks` is a multiple of 32. */
  constructor(blocks: number) {
    this.blocks = blocks
    this.#words = new Uint32Array(blocks / 32)
  }

  get takenBlocks(): number {
    return this.#takenBlocks
  }

  /** Takes blocks that are all free. */
  take(first: number, count: number): void {
    this.#takenBlocks += count
    this.#change(first, count, (word, mask) => word | mask)
  }

  /** Frees blocks that are all taken. */
  free(first: number, count: number): void {
    this.#takenBlocks -= count
    this.#change(first, count, (word, mask) => word & ~mask)
  }

  isTaken(block: number): boolean {
    return ((this.#word(block >>> 5) >>> (block & 31)) & 1) === 1
  }

  /** The first of `count` contiguous free blocks at or after `from`; -1 if there are none. */
  findFree(count: number, from: number): number {
    let start = this.#next(from, 0)
    while (start + count <= this.blocks) {
      const end = this.#next(start, 1, start + count)
      if (end - start >= count) return start
      start = this.#next(end, 0)
    }
    return -1
  }

  /** The length of the longest free run, in blocks. */
  longestFree(): number {
    let longest = 0
    for (let run = this.nextFree(0); run !== null; run = this.nextFree(run.end))
      longest = Math.max(longest, run.end - run.first)
    return longest
  }

  /** The first free run at or after `from`; null if there is none. */
  nextFree(from: number): { first: number; end: number } | null {
    const first = this.#next(from, 0)
    return first < this.blocks ? { first, end: this.#next(first, 1) } : null
  }

  /** The length of the free run around `first`, up to `reach` blocks on either side. */
  freeAround(first: number, reach: number): number {
    let start = first
    const least = Math.max(0, first - reach)
    while (start > least && !this.isTaken(start - 1)) {
      start -= (start & 31) === 0 && start - 32 >= least && this.#word((start >>> 5) - 1) === 0 ? 32 : 1
    }
    return this.#next(first, 1, Math.min(this.blocks, first + reach)) - start
  }

  /** Frees all blocks that `other` has taken; they must be taken here. Returns their number. */
  freeAll(other: BlockMap): number {
    const freed = other.takenBlocks
    const words = this.#words
    if (freed === this.#takenBlocks) words.fill(0)
    this.#takenBlocks -= freed
    if (this.#takenBlocks === 0) return freed
    for (let index = 0; index < words.length; index++) {
      words[index] = this.#word(index) & ~other.#word(index)
    }
    return freed
  }

  /** The first block from `from` on whose bit is `bit`; `to` if there is none before it. */
  #next(from: number, bit: 0 | 1, to: number = this.blocks): number {
    const flip = bit === 1 ? 0 : -1
    for (let at = from; at < to; at = (at | 31) + 1) {
      const word = (this.#word(at >>> 5) ^ flip) >>> (at & 31)
      if (word !== 0) return Math.min(to, at + 31 - Math.clz32(word & -word))
    }
    return to
  }

  #change(first: number, count: number, change: (word: number, mask: number) => number): void {
    for (let at = first; at < first + count; at = (at | 31) + 1) {
      const bits = Math.min(32 - (at & 31), first + count - at)
      const mask = (bits === 32 ? -1 : (1 << bits) - 1) << (at & 31)
      this.#words[at >>> 5] = change(this.#word(at >>> 5), mask)
    }
  }

  #word(index: number): number {
    return this.#words[index] as number
  }
}
