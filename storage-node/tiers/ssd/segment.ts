import { assert } from '../../../protocol/assert.ts'
import { SSD_GARBAGE_SHARE_MAX } from '../limits.ts'
import type { Range } from '../tier-store.ts'
import { createFile, readAt, removeFile, writeAt } from './disk.ts'

const PAGE_RECORDS = 1024

/** One file of a job's log: appended to until sealed, removed once it has no live records. */
export class Segment {
  readonly number: number
  /** Offset of the next append. */
  endBytes = 0
  /** Bytes of live records. */
  liveBytes = 0
  /** No further appends start. */
  sealed = false
  /** Batches being written whose records have not been entered. */
  appending = 0
  /** Record numbers in offset order; some have moved or gone. */
  readonly #records: Uint32Array[] = []
  #recordCount = 0
  readonly #fd: number
  readonly #path: string
  #uses = 0
  #removed = false
  #whenUnused: (() => void) | null = null

  private constructor(number: number, file: { fd: number; path: string }) {
    this.number = number
    this.#fd = file.fd
    this.#path = file.path
  }

  static async create(number: number, path: string): Promise<Segment> {
    return new Segment(number, { fd: await createFile(path), path })
  }

  /** It is sealed, and has so much garbage that compaction pays. */
  get wasteful(): boolean {
    if (!this.sealed || this.appending > 0) return false
    return this.liveBytes < this.endBytes * (1 - SSD_GARBAGE_SHARE_MAX)
  }

  /** Reserves space at the end and returns its offset. */
  reserve(bytes: number): number {
    const offset = this.endBytes
    this.endBytes += bytes
    return offset
  }

  async write(buffers: readonly Buffer[], offset: number): Promise<void> {
    await this.#using(() => writeAt(this.#fd, buffers, offset))
  }

  async read(range: Range): Promise<Buffer> {
    return await this.#using(() => readAt(this.#fd, range))
  }

  /** Records that a record was written here. */
  enter(record: number, bytes: number): void {
    const slot = this.#recordCount++ % PAGE_RECORDS
    if (slot === 0) this.#records.push(new Uint32Array(PAGE_RECORDS))
    const page = this.#records.at(-1)
    assert(page !== undefined, 'a segment has a page for every record')
    page[slot] = record
    this.liveBytes += bytes
  }

  *records(): Generator<number> {
    for (let index = 0; index < this.#recordCount; index++)
      yield this.#records[Math.floor(index / PAGE_RECORDS)]?.[index % PAGE_RECORDS] as number
  }

  /** Removes the file once no read or write uses it. Idempotent. */
  async remove(): Promise<void> {
    if (this.#removed) return
    this.#removed = true
    if (this.#uses > 0) await new Promise<void>((resolve) => (this.#whenUnused = resolve))
    await removeFile(this.#fd, this.#path)
  }

  async #using<T>(work: () => Promise<T>): Promise<T> {
    assert(!this.#removed, 'a segment that is removed is not used any more')
    this.#uses++
    try {
      return await work()
    } finally {
      this.#uses--
      if (this.#uses === 0) this.#whenUnused?.()
    }
  }
}
