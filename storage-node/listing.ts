import { hasBit } from '../protocol/bitmap.ts'
import type { dataOperations } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { LIST_PAGE_BYTES_MAX, LIST_PAGE_MAX, LIST_SCAN_BATCH } from '../protocol/limits.ts'
import type { ReplyOf, RequestOf } from '../protocol/operation.ts'
import type { Clock } from '../protocol/runtime.ts'
import { sleep } from '../protocol/runtime.ts'
import { contentBytes } from './content.ts'
import type { JobSpace } from './job-space.ts'
import { isExpired } from './object-table.ts'
import { keyBytes, keyString } from './place.ts'
import type { KeyString, Slot, StoredObject } from './slot.ts'

type Request = RequestOf<typeof dataOperations.list>
type Reply = ReplyOf<typeof dataOperations.list>

/** What an entry takes in the reply beside its key: two lengths. */
const ENTRY_BYTES = 10

/**
 * One page of a listing: the smallest keys above `after` in the slots that were asked for. Each slot is read in
 * one step, and between slots the event loop gets its turn, so a key that exists during the whole is found.
 */
export async function listPage(job: JobSpace, request: Request, clock: Clock): Promise<Reply> {
  const page = new Page(request)
  let scanned = 0
  for (let index = 0; index < job.slots.length; index++) {
    if (!hasBit(request.slots, index)) continue
    const slot = job.ownedSlot(index)
    const holes = slot.lost || (slot.lostKeys.get(request.bucket)?.size ?? 0) > 0
    if (holes && !request.acceptHoles) {
      throw new MayflyError(
        'OBJECT_LOST',
        `The listing has a hole: a node that held part of slot ${index} died`,
      )
    }
    scanned += page.collect(slot, request.bucket, clock.wallMs())
    if (scanned < LIST_SCAN_BATCH) continue
    scanned = 0
    await sleep(clock, 0)
  }
  return page.finish()
}

/** The smallest keys seen so far. Twice the page's size is gathered, then cut back, so that sorting stays rare. */
class Page {
  readonly #prefix: KeyString
  readonly #after: KeyString
  readonly #limit: number
  #entries: { key: KeyString; object: StoredObject }[] = []
  /** Once the page is full, keys above this are of no interest. */
  #bound: KeyString | null = null
  #overflowed = false

  constructor({ prefix, after, limit }: Request) {
    this.#prefix = keyString(prefix)
    this.#after = keyString(after)
    this.#limit = Math.max(1, Math.min(limit, LIST_PAGE_MAX))
  }

  /** Returns how many keys were looked at. */
  collect(slot: Slot, bucket: number, wallMs: number): number {
    const keys = slot.objects.get(bucket)
    if (keys === undefined) return 0
    for (const [key, object] of keys) {
      if (key <= this.#after || !key.startsWith(this.#prefix) || isExpired(object, wallMs)) continue
      if (this.#bound !== null && key > this.#bound) continue
      this.#entries.push({ key, object })
      if (this.#entries.length >= 2 * this.#limit + 1) this.#cut()
    }
    return keys.size
  }

  finish(): Reply {
    this.#cut()
    const entries: { key: string; bytes: number }[] = []
    let pageBytes = 0
    for (const { key, object } of this.#entries) {
      pageBytes += key.length + ENTRY_BYTES
      if (pageBytes > LIST_PAGE_BYTES_MAX) return { complete: false, entries }
      entries.push({ key: keyBytes(key).toString(), bytes: contentBytes(object.content) })
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
