import { hasBit } from '../protocol/bitmap.ts'
import type { dataOperations } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import {
  KEY_BYTES_MAX,
  LIST_PAGE_BYTES_MAX,
  LIST_PAGE_MAX,
  LIST_SCAN_BATCH,
  LIST_SCAN_CELLS,
} from '../protocol/limits.ts'
import type { ReplyOf, RequestOf } from '../protocol/operation.ts'
import type { Clock } from '../protocol/runtime.ts'
import { sleep } from '../protocol/runtime.ts'
import { type JobSpace, stalePlacement } from './job-space.ts'
import { type KeyString, keyBytes, keyString } from './key-string.ts'
import type { JobMemory } from './ram/job-memory.ts'
import type { Slot } from './slot.ts'
import { isExpired, objectBytes } from './stored-object.ts'

type Request = RequestOf<typeof dataOperations.list>
type Reply = ReplyOf<typeof dataOperations.list>

/** What an entry takes while a page is gathered, beside its key. */
const GATHERED_BYTES = 100
/** What an entry takes in the reply beside its key: two lengths. */
const ENTRY_BYTES = 10

/**
 * One page of a listing: the smallest keys above `after` in the slots that were asked for. The event loop gets its turn
 * again and again, also within a slot: what is there during a whole scan of its table is visited once.
 */
export async function listPage(job: JobSpace, request: Request, clock: Clock): Promise<Reply> {
  const page = new Page(job.memory, request)
  let scanned = 0
  for (let index = 0; index < job.owned.count; index++) {
    if (!hasBit(request.slots, index)) continue
    const slot = job.ownedSlot(index)
    const holes = slot.lost || (slot.lostKeys?.get(request.bucket)?.size ?? 0) > 0
    if (holes && !request.acceptHoles) {
      throw new MayflyError(
        'OBJECT_LOST',
        `The listing has a hole: a node that held part of slot ${index} died`,
      )
    }
    for (let from: number | null = 0; from !== null; ) {
      if (job.ownedSlot(index) !== slot)
        throw stalePlacement(`slot ${index} as it was when the listing began`)
      from = page.collect(slot, from, clock.wallMs())
      scanned += LIST_SCAN_CELLS
      if (scanned < LIST_SCAN_BATCH) continue
      scanned = 0
      await sleep(clock, 0)
    }
  }
  return page.finish()
}

/** What a page takes at most while it is gathered. */
export function pageBytes({ limit }: Request): number {
  return 2 * Math.min(Math.max(1, limit), LIST_PAGE_MAX) * (KEY_BYTES_MAX + GATHERED_BYTES)
}

/** The smallest keys seen so far. Twice the page's size is gathered, then cut back, so that sorting stays rare. */
class Page {
  readonly #prefix: Uint8Array
  readonly #after: Uint8Array
  readonly #limit: number
  readonly #bucket: number
  readonly #memory: JobMemory
  #entries: { key: KeyString; bytes: number }[] = []
  /** Once the page is full, keys above this are of no interest. */
  #bound: KeyString | null = null
  #overflowed = false

  constructor(memory: JobMemory, { bucket, prefix, after, limit }: Request) {
    this.#memory = memory
    this.#bucket = bucket
    this.#prefix = prefix
    this.#after = after
    this.#limit = Math.max(1, Math.min(limit, LIST_PAGE_MAX))
  }

  /** Looks at a part of a slot's table, from a hash on. Returns where to go on; null at the end. */
  collect(slot: Slot, from: number, wallMs: number): number | null {
    return slot.objects.scan(from, LIST_SCAN_CELLS, (object) => {
      if (object.bucket !== this.#bucket || isExpired(object, wallMs)) return
      const { key } = object
      if (!startsWith(key, this.#prefix) || Buffer.compare(key, this.#after) <= 0) return
      this.#add(keyString(key), objectBytes(this.#memory, object))
    })
  }

  #add(key: KeyString, bytes: number): void {
    if (this.#bound !== null && key > this.#bound) return
    this.#entries.push({ key, bytes })
    if (this.#entries.length >= 2 * this.#limit + 1) this.#cut()
  }

  finish(): Reply {
    this.#cut()
    const entries: { key: string; bytes: number }[] = []
    let pageBytes = 0
    for (const { key, bytes } of this.#entries) {
      pageBytes += key.length + ENTRY_BYTES
      if (pageBytes > LIST_PAGE_BYTES_MAX) return { complete: false, entries }
      entries.push({ key: keyBytes(key).toString(), bytes })
    }
    return { complete: !this.#overflowed, entries }
  }

  #cut(): void {
    this.#entries.sort((a, b) => (a.key < b.key ? -1 : 1))
    if (this.#entries.length <= this.#limit) return
    this.#entries.length = this.#limit
    this.#overflowed = true
    this.#bound = this.#entries.at(-1)?.key ?? null
  }
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  if (key.length < prefix.length) return false
  for (let index = 0; index < prefix.length; index++) if (key[index] !== prefix[index]) return false
  return true
}
