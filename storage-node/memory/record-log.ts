import { type Arena, GRANULE_BYTES, GRANULES_PER_BLOCK, NOWHERE } from './arena.ts'
import { HEADER_BYTES, KEY_MASK, StoredRecord } from './record.ts'
import { BLOCK_BYTES } from './slab.ts'

/** Where a log gets its pages from, and who holds its records. */
interface Owner {
  readonly arena: Arena
  take(blocks: number): number
  free(at: number, blocks: number): void
  table(number: number): RecordHolder | undefined
}

/** What finds records: it is told where a record went, and forgets the old place. */
export interface RecordHolder {
  /** False if this record is not held any more. */
  moveRecord(record: StoredRecord, append: () => number): boolean
  /** All of them are gone. */
  forget(): void
}

/** At 1 KiB the unused end of a page is 0.2 % of it, at 8 KiB it is 2 %. */
const PAGE_BLOCKS_MAX = 256
const PAGE_BLOCKS_MIN = 16
/** A page takes a quarter of what the log has already, so that a job with few objects holds little. */
const GROWTH = 1 / 4
/** A page begins with two words: bytes of living records, blocks. */
const PAGE_HEADER_GRANULES = 1
/** Dead bytes that are left alone as long as the arena has room: half as many as living ones, and what a page or two leave. */
const DEAD_FRACTION = 1 / 2
const DEAD_BYTES_MIN = PAGE_BLOCKS_MAX * BLOCK_BYTES
/** To empty a page of which more lives moves too many bytes for what it frees. */
const COMPACTED_FRACTION_MAX = 7 / 8
/** Pages that are emptied at a time: as many of the smallest as make one of the largest. */
const EMPTIED_PAGES_MAX = PAGE_BLOCKS_MAX / PAGE_BLOCKS_MIN

/**
 * The records of one job, written one behind the other in pages, so that no room is lost to classes of size. A page is
 * free when its last record has died; pages with few living records are emptied by moving those.
 */
export class RecordLog {
  readonly #owner: Owner
  readonly #pages = new Set<number>()
  #pagesBlocks = 0
  #liveBytes = 0
  /** The page that is written to, its next free granule and its end; all in one slab. */
  #open = NOWHERE
  #next = 0
  #end = 0

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /** Of all pages. */
  get pagesBytes(): number {
    return this.#pagesBlocks * BLOCK_BYTES
  }

  get liveBytes(): number {
    return this.#liveBytes
  }

  /** Bytes of pages that hold no living record, without what is still to be written in the open one. */
  get deadBytes(): number {
    return this.pagesBytes - this.#liveBytes - (this.#end - this.#next) * GRANULE_BYTES
  }

  /** Whether removed records take so much room that moving living ones is worth it. */
  get isSparse(): boolean {
    return this.deadBytes > this.#liveBytes * DEAD_FRACTION + DEAD_BYTES_MIN
  }

  /** Room for a record, a multiple of a granule; `NOWHERE` if there is no page for it. */
  append(bytes: number): number {
    return this.#append(bytes, PAGE_BLOCKS_MAX)
  }

  /** The record died. */
  release(at: number, bytes: number): void {
    const page = this.#pageOf(at)
    if (this.#count(page, -bytes) > 0) return
    if (page === this.#open) this.#next = page + PAGE_HEADER_GRANULES
    else this.#freePage(page)
  }

  /** All pages were given back. */
  end(): void {
    this.#pages.clear()
    this.#pagesBlocks = 0
    this.#liveBytes = 0
    this.#open = NOWHERE
    this.#next = 0
    this.#end = 0
  }

  /**
   * Moves the records of some pages into others. False if that frees nothing. It takes no more than those pages give back: what
   * the arena lets it have beyond all others would be used up, where small pages went into larger ones, and nothing could move any more.
   */
  compact(): boolean {
    const pages = this.#sparsest()
    const room = { blocks: pages.reduce((sum, page) => sum + this.#blocksOf(page), 0) }
    for (const [index, page] of pages.entries()) if (!this.#empty(page, room)) return index > 0
    return pages.length > 0
  }

  /** Moves all records of a page. False if there is no room for them elsewhere; `room` is what new pages may take. */
  #empty(page: number, room: { blocks: number }): boolean {
    const end = page + this.#blocksOf(page) * GRANULES_PER_BLOCK
    for (let at = page + PAGE_HEADER_GRANULES; this.#isRecord(at, end); ) {
      const record = new StoredRecord(this.#owner.arena, at)
      const bytes = record.recordBytes
      const pagesBlocks = this.#pagesBlocks
      const moved = this.#move(record, () => {
        const to = this.#append(bytes, Math.min(PAGE_BLOCKS_MAX, room.blocks))
        room.blocks -= this.#pagesBlocks - pagesBlocks
        return to
      })
      if (!moved) return false
      if (!this.#pages.has(page)) return true
      at += bytes / GRANULE_BYTES
    }
    return false
  }

  /** False if there is no room for it elsewhere. */
  #move(record: StoredRecord, append: () => number): boolean {
    const { arena } = this.#owner
    const bytes = record.recordBytes
    let moved = true
    const held = this.#owner.table(record.table)?.moveRecord(record, () => {
      const to = append()
      moved = to !== NOWHERE
      if (moved) arena.view(to, bytes).set(arena.view(record.address, bytes))
      return to
    })
    if (held === true && moved) this.release(record.address, bytes)
    return moved
  }

  /** The page that frees most, and with it as many others as together are no larger than the largest page. */
  #sparsest(): number[] {
    const pages: number[] = []
    let blocks = 0
    for (const page of this.#sparse()) {
      blocks += this.#blocksOf(page)
      if (pages.length > 0 && blocks > PAGE_BLOCKS_MAX) break
      pages.push(page)
    }
    return pages
  }

  /**
   * Of the pages that are not written to, those with most dead bytes, if moving what lives there is worth it. One look at each page: a
   * log may have tens of thousands.
   */
  #sparse(): number[] {
    const found: { page: number; dead: number }[] = []
    let least = 0
    for (const page of this.#pages) {
      const bytes = this.#blocksOf(page) * BLOCK_BYTES
      const live = this.#liveOf(page)
      const dead = bytes - live
      if (dead <= least || live >= bytes * COMPACTED_FRACTION_MAX || page === this.#open) continue
      const at = found.findIndex((other) => other.dead < dead)
      found.splice(at < 0 ? found.length : at, 0, { page, dead })
      if (found.length <= EMPTIED_PAGES_MAX) continue
      found.pop()
      least = found.at(-1)?.dead ?? 0
    }
    return found.map(({ page }) => page)
  }

  #append(bytes: number, pageBlocksMax: number): number {
    const granules = bytes / GRANULE_BYTES
    if (this.#end - this.#next < granules && !this.#openPage(granules, pageBlocksMax)) return NOWHERE
    const at = this.#next
    this.#next += granules
    this.#count(this.#open, bytes)
    return at
  }

  #openPage(granules: number, blocksMax: number): boolean {
    const needed = Math.ceil((granules + PAGE_HEADER_GRANULES) / GRANULES_PER_BLOCK)
    const wanted = Math.ceil(this.#pagesBlocks * GROWTH)
    // The last blocks of a full arena would be many pages of a record or two, of which each wastes its end.
    if (needed > blocksMax || this.#owner.arena.roomBlocks < PAGE_BLOCKS_MIN) return false
    let blocks = Math.max(needed, Math.min(blocksMax, Math.max(PAGE_BLOCKS_MIN, wanted)))
    let page = this.#owner.take(blocks)
    while (page === NOWHERE && blocks > needed) {
      blocks = Math.max(needed, blocks >>> 1)
      page = this.#owner.take(blocks)
    }
    if (page === NOWHERE) return false
    this.#close()
    const { arena } = this.#owner
    const slab = arena.slabOf(page)
    const first = arena.blockOf(page)
    for (let offset = 0; offset < blocks; offset++) slab.pageOffsets[first + offset] = offset
    const word = arena.granuleOf(page) * 2
    slab.words[word] = 0
    slab.words[word + 1] = blocks
    this.#pages.add(page)
    this.#pagesBlocks += blocks
    this.#open = page
    this.#next = page + PAGE_HEADER_GRANULES
    this.#end = page + blocks * GRANULES_PER_BLOCK
    return true
  }

  /** Marks where the records of the open page end. */
  #close(): void {
    const page = this.#open
    if (page === NOWHERE) return
    if ((this.#end - this.#next) * GRANULE_BYTES >= HEADER_BYTES) this.#setKeyBytes(this.#next, 0)
    this.#open = NOWHERE
    if (this.#liveOf(page) === 0) this.#freePage(page)
  }

  #freePage(page: number): void {
    const blocks = this.#blocksOf(page)
    this.#pages.delete(page)
    this.#pagesBlocks -= blocks
    this.#owner.free(page, blocks)
  }

  /** No record has an empty key, so that one of no bytes is the end. */
  #isRecord(at: number, end: number): boolean {
    if ((end - at) * GRANULE_BYTES < HEADER_BYTES) return false
    const { arena } = this.#owner
    return ((arena.slabOf(at).words[arena.granuleOf(at) * 2 + 4] as number) & KEY_MASK) > 0
  }

  #setKeyBytes(at: number, bytes: number): void {
    const { arena } = this.#owner
    arena.slabOf(at).words[arena.granuleOf(at) * 2 + 4] = bytes
  }

  #pageOf(at: number): number {
    const { arena } = this.#owner
    const block = arena.blockOf(at)
    const first = block - (arena.slabOf(at).pageOffsets[block] as number)
    return at - arena.granuleOf(at) + first * GRANULES_PER_BLOCK
  }

  /** Returns the bytes that live in the page now. */
  #count(page: number, change: number): number {
    const { arena } = this.#owner
    const { words } = arena.slabOf(page)
    const word = arena.granuleOf(page) * 2
    this.#liveBytes += change
    const live = (words[word] as number) + change
    words[word] = live
    return live
  }

  #liveOf(page: number): number {
    const { arena } = this.#owner
    return arena.slabOf(page).words[arena.granuleOf(page) * 2] as number
  }

  #blocksOf(page: number): number {
    const { arena } = this.#owner
    return arena.slabOf(page).words[arena.granuleOf(page) * 2 + 1] as number
  }
}
