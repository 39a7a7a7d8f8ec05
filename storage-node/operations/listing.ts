import { MayflyError } from '../../protocol/errors.ts'
import { LIST_PAGE_MAX } from '../../protocol/limits.ts'
import { hashKey, slotOf } from '../../protocol/model/hash.ts'
import type { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { ReplyOf, RequestOf } from '../../protocol/operations/operation.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { hasBit } from '../../protocol/wire/bitmap.ts'
import type { Turns } from '../../service/server/turns.ts'
import type { NodeJob } from '../job/job.ts'
import { requireBucket } from '../job/locate.ts'
import { KEYS_PER_REQUEST, LIST_PAGE_BYTES_MAX, LIST_PAGE_STEP_KEYS } from '../limits.ts'
import { type KeyString, keyBytes, keyHash, keyString } from '../slot/key-string.ts'
import { isExpired, objectBytes } from '../slot/stored-object.ts'
import { KeyGathering } from './key-gathering.ts'
import { type ListCursor, ListCursors } from './list-cursors.ts'

type Request = RequestOf<typeof dataOperations.list>
type Reply = ReplyOf<typeof dataOperations.list>

/** Bytes of an entry in the reply besides its key: two lengths. */
const ENTRY_BYTES = 10
/** Bytes of an entry in memory. */
const ENTRY_OBJECT_BYTES = 100

/** Upper bound of a page's memory while it is being built. */
export function pageBytes(request: Request): number {
  return LIST_PAGE_BYTES_MAX + pageLimit(request) * ENTRY_OBJECT_BYTES
}

function pageLimit({ limit }: Request): number {
  return Math.min(Math.max(1, limit), LIST_PAGE_MAX)
}

/**
 * Pages of listings. The first page collects the keys of all slots in order, up to the size of a cursor;
 * later pages continue from the cursor until it is used up. A cursor lists only candidates: each key is
 * looked up when its page is built. A key that exists during a whole listing is in the cursor, because
 * collecting began after the listing.
 */
export class Listings {
  readonly #clock: Clock
  readonly #cursors: ListCursors
  readonly #turns: Pick<Turns, 'run'>

  constructor(clock: Clock, turns: Pick<Turns, 'run'>) {
    this.#clock = clock
    this.#turns = turns
    this.#cursors = new ListCursors(clock)
  }

  /** The smallest keys above `after` in the requested slots. `session` identifies the client. */
  async page(job: NodeJob, session: string, request: Request): Promise<Reply> {
    const name = `${session}/${request.listing}`
    const slots = slotsIn(request, job.owned.count)
    const page = new Page(job, { request, slots, clock: this.#clock })
    let from = page.after
    // A new listing does not use a cursor: one of this name may be older.
    let cursor = from === '' ? null : this.#cursors.find(job, name, { scope: request, after: from })
    for (;;) {
      if (cursor === null) {
        from = page.after
        cursor = await this.#gather(job, { request, slots, after: from })
      }
      await this.#turns.run(job.id, page.fill(cursor))
      if (page.isFull && request.listing !== 0)
        this.#cursors.retain(job, name, { cursor, scope: request, from })
      else this.#cursors.remove(job, name)
      if (!page.isFull && cursor.isComplete) return page.finish()
      if (page.entries.length > 0) return { complete: false, entries: page.entries }
      cursor = null
    }
  }

  /** Drops idle cursors. */
  sweep(): void {
    this.#cursors.sweep()
  }

  #gather(
    job: NodeJob,
    { request, slots, after }: { request: Request; slots: readonly number[]; after: KeyString },
  ): Promise<ListCursor> {
    const { bucket, prefix } = request
    // No page follows. One key more says whether this is the last.
    const keysMax = request.listing === 0 ? pageLimit(request) + 1 : Number.POSITIVE_INFINITY
    const asked = { bucket, prefix, slots, after: keyBytes(after), keysMax }
    return this.#cursors.gather(job, { scope: request, after, keysMax }, () =>
      this.#turns.run(job.id, new KeyGathering(job, asked).run()),
    )
  }
}

/** A page being built. */
class Page {
  readonly entries: { key: string; bytes: number }[] = []
  /** Keys up to this one are in the page or do not exist. */
  after: KeyString
  /** The next existing key does not fit. */
  isFull = false
  readonly #job: NodeJob
  readonly #request: Request
  readonly #slots: readonly number[]
  readonly #clock: Clock
  readonly #limit: number
  #bytes = 0

  constructor(job: NodeJob, options: { request: Request; slots: readonly number[]; clock: Clock }) {
    this.#job = job
    this.#request = options.request
    this.#slots = options.slots
    this.#clock = options.clock
    this.after = keyString(options.request.after)
    this.#limit = pageLimit(options.request)
  }

  /** Looks up the cursor's keys above `after`, in steps, until the page is full or the cursor is used up. */
  *fill(cursor: ListCursor): Generator<void, void> {
    for (let at = cursor.above(this.after); at < cursor.keys.length && !this.isFull; ) {
      const keys = cursor.keys.slice(at, at + LIST_PAGE_STEP_KEYS)
      this.#job.inOneStep(() => this.#addKeys(keys))
      at += keys.length
      if (at < cursor.keys.length && !this.isFull) yield
    }
  }

  /** The last page: checks that the listing has no hole and is served here. */
  finish(): Reply {
    this.#job.inOneStep(() => checkSlots(this.#job, this.#request, this.#slots))
    return { complete: true, entries: this.entries }
  }

  #addKeys(keys: readonly KeyString[]): void {
    const { memory, owned, slots } = this.#job
    checkSlots(this.#job, this.#request, this.#slots)
    this.#job.requests += Math.ceil(keys.length / KEYS_PER_REQUEST)
    const wallMs = this.#clock.wallMs()
    for (const key of keys) {
      const hashed = keyHash(this.#request.bucket, key)
      const object = slots[slotOf(hashKey(hashed.key, hashed.bucket), owned.count)]?.find(hashed)
      if (object !== undefined && !isExpired(object, wallMs)) {
        this.#bytes += key.length + ENTRY_BYTES
        this.isFull = this.entries.length >= this.#limit || this.#bytes > LIST_PAGE_BYTES_MAX
        if (this.isFull) return
        this.entries.push({ key: hashed.key.toString(), bytes: objectBytes(memory, object) })
      }
      this.after = key
    }
  }
}

/** Throws unless this node may serve the bucket and the slots; `OBJECT_LOST` if part of them may be lost. */
function checkSlots(job: NodeJob, request: Request, slots: readonly number[]): void {
  requireBucket(job, request.bucket)
  for (const index of slots) {
    const slot = job.touchedSlot(index)
    const isLost = slot?.mayHaveLost ?? job.owned.mayHaveLost(index)
    const holes = isLost || (slot?.lostKeys?.get(request.bucket)?.size ?? 0) > 0
    if (holes && !request.acceptHoles) {
      throw new MayflyError(
        'OBJECT_LOST',
        `The listing has a hole: a node that held part of slot ${index} died`,
      )
    }
  }
}

function slotsIn(request: Request, count: number): number[] {
  const slots: number[] = []
  for (let index = 0; index < count; index++) {
    if (!hasBit(request.slots, index)) continue
    slots.push(index)
  }
  return slots
}
