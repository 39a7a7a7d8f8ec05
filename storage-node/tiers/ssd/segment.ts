import { assert } from '../../../protocol/assert.ts'
import { SSD_GARBAGE_SHARE_MAX } from '../limits.ts'
import type { Range } from '../tier-store.ts'
import { createFile, readAt, removeFile, writeAt } from './disk.ts'

const PAGE_RECORDS = 1024

/** One file of a job's log: appended to until it is sealed, and removed once nothing in it is wanted. */
export class Segment {
  readonly number: number
  /** Where the next append goes. */
  endBytes = 0
  /** Of records that are still wanted. */
  liveBytes = 0
  /** No append begins here any more. */
  sealed = false
  /** Batches that are being written and whose records have not been entered. */
  appending = 0
  /** The numbers of what was written here, in the order of their offsets; some are not here any more. */
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

  /** Nothing is added any more, and so much of it is garbage that it pays to write the rest anew. */
  get wasteful(): boolean {
    if (!this.sealed || this.appending > 0) return false
    return this.liveBytes < this.endBytes * (1 - SSD_GARBAGE_SHARE_MAX)
  }

  /** Takes room at the end and gives its offset. */
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

  /** Notes that a record was written here. */
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

  /** Removes the file once whoever reads or writes it is done. Asked for twice, it is removed once. */
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
