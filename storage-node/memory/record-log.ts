import { type Arena, GRANULE_BYTES, GRANULES_PER_BLOCK, NOWHERE } from './arena.ts'
import { HEADER_BYTES, KEY_MASK, StoredRecord } from './record.ts'
import { BLOCK_BYTES } from './slab.ts'

/** Provides pages to a log, and the tables that hold its records. */
interface Owner {
  readonly arena: Arena
  take(blocks: number): number
  free(at: number, blocks: number): void
  table(number: number): RecordHolder | undefined
}

/** A table of records: told when a record moves. */
export interface RecordHolder {
  /**
   * Replaces the address of a record by that which `append` returns. False if the table no longer has this
   * record.
   */
  moveRecord(record: StoredRecord, append: () => number): boolean
  /** All records are gone. */
  forget(): void
}

/** At 1 KiB the unused end of a page is 0.2 % of it, at 8 KiB it is 2 %. */
const PAGE_BLOCKS_MAX = 256
const PAGE_BLOCKS_MIN = 16
/** A new page is a quarter of the log, so that a job with few objects takes little memory. */
const GROWTH = 1 / 4
/** A page begins with two words: live bytes, blocks. */
const PAGE_HEADER_GRANULES = 1
/** Dead bytes that are tolerated while the arena has room: half of the live bytes, plus a page or two. */
const DEAD_FRACTION = 1 / 2
const DEAD_BYTES_MIN = PAGE_BLOCKS_MAX * BLOCK_BYTES
/** Pages with more live bytes are not compacted: it would move too much for what it frees. */
const COMPACTED_FRACTION_MAX = 7 / 8
/** Pages compacted at a time: as many of the smallest as make one of the largest. */
const EMPTIED_PAGES_MAX = PAGE_BLOCKS_MAX / PAGE_BLOCKS_MIN

/**
 * The records of one job, appended to pages, so that no space is lost to size classes. A page is freed when
 * its last record dies; sparse pages are emptied by moving their live records.
 */
export class RecordLog {
  readonly #owner: Owner
  readonly #pages = new Set<number>()
  #pagesBlocks = 0
  #liveBytes = 0
  /** The open page, its next free granule and its end, all in one slab. */
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

  /** Bytes in pages that are neither live nor still free in the open page. */
  get deadBytes(): number {
    return this.pagesBytes - this.#liveBytes - (this.#end - this.#next) * GRANULE_BYTES
  }

  /** Whether dead records take so much space that compaction is worth it. */
  get isSparse(): boolean {
    return this.deadBytes > this.#liveBytes * DEAD_FRACTION + DEAD_BYTES_MIN
  }

  /** Space for a record of `bytes`, a multiple of a granule; `NOWHERE` if there is no page for it. */
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

  /** All pages were freed by the owner. */
  end(): void {
    this.#pages.clear()
    this.#pagesBlocks = 0
    this.#liveBytes = 0
    this.#open = NOWHERE
    this.#next = 0
    this.#end = 0
  }

  /**
   * Moves the records of some pages into others. False if that frees nothing. New pages take at most the
   * blocks of the emptied ones. Otherwise merging small pages into larger ones would use up the extra blocks
   * of the arena, and no record could move any more.
   */
  compact(): boolean {
    const pages = this.#sparsest()
    const room = { blocks: pages.reduce((sum, page) => sum + this.#blocksOf(page), 0) }
    for (const [index, page] of pages.entries()) if (!this.#empty(page, room)) return index > 0
    return pages.length > 0
  }

  /**
   * Moves all records of a page. False if there is no space elsewhere; `room` bounds the blocks of new pages.
   */
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

  /** False if there is no space elsewhere. */
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

  /** The page that frees most, and further ones up to the size of the largest page. */
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
   * The pages, except the open one, with the most dead bytes for which compaction is worth it. One pass: a
   * log may have tens of thousands of pages.
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
    // The last blocks of a full arena would become many pages with a record or two, each with an unused end.
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

  /** Marks the end of the open page's records. */
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

  /** A zero key length marks the end of a page: no record has an empty key. */
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

  /** Returns the live bytes of the page. */
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
