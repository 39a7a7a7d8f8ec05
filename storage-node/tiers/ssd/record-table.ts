import { assert } from '../../../protocol/assert.ts'
import type { Checksums } from '../checksums.ts'

/** Where a record is, and its checksums. */
export interface RecordLocation {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  /** One per block. */
  readonly checksums: Checksums
}

const PAGE_RECORDS = 16_384
const WORDS = 4
const SEGMENT = 0
const OFFSET = 1
const BYTES = 2
const CHECKSUM = 3
/** Special values in place of a segment number. */
const FREE = 0xffff_ffff
const LOST = 0xffff_fffe
const NONE = 0xffff_ffff

/**
 * The index of one job's records: 16 bytes each in typed arrays, which the garbage collector does not scan.
 * It grows by pages of 256 KiB, so that growing copies nothing. Free numbers form a linked list in the table.
 */
export class RecordTable {
  readonly #pages: Uint32Array[] = []
  /** Further checksums of the few records with more than one block. */
  readonly #more = new Map<number, Checksums>()
  #end = 0
  #firstFree = NONE
  #records = 0

  get records(): number {
    return this.#records
  }

  add({ segment, offset, bytes, checksums }: RecordLocation): number {
    const record = this.#take()
    const page = this.#page(record)
    const at = positionOf(record)
    page[at + SEGMENT] = segment
    page[at + OFFSET] = offset
    page[at + BYTES] = bytes
    page[at + CHECKSUM] = checksums[0] ?? 0
    if (checksums.length > 1) this.#more.set(record, checksums)
    this.#records++
    return record
  }

  segmentOf(record: number): number {
    return this.#word(record, SEGMENT)
  }

  offsetOf(record: number): number {
    return this.#word(record, OFFSET)
  }

  bytesOf(record: number): number {
    return this.#word(record, BYTES)
  }

  /** The result stays valid after the record is removed. */
  checksumsOf(record: number): Checksums {
    return this.#more.get(record) ?? [this.#word(record, CHECKSUM)]
  }

  /** Whether the record is still at that position; its number may have been reused. */
  isAt(record: number, position: { segment: number; offset: number }): boolean {
    return this.segmentOf(record) === position.segment && this.offsetOf(record) === position.offset
  }

  move(record: number, target: { segment: number; offset: number }): void {
    const page = this.#page(record)
    page[positionOf(record) + SEGMENT] = target.segment
    page[positionOf(record) + OFFSET] = target.offset
  }

  /** Its bytes are gone; reads of it must fail. */
  lose(record: number): void {
    this.#page(record)[positionOf(record) + SEGMENT] = LOST
  }

  isLost(record: number): boolean {
    return this.segmentOf(record) === LOST
  }

  remove(record: number): void {
    const page = this.#page(record)
    const at = positionOf(record)
    assert(page[at + SEGMENT] !== FREE, 'a record is removed once')
    page[at + SEGMENT] = FREE
    page[at + OFFSET] = this.#firstFree
    this.#firstFree = record
    this.#more.delete(record)
    this.#records--
  }

  #take(): number {
    const record = this.#firstFree
    if (record !== NONE) {
      this.#firstFree = this.#word(record, OFFSET)
      return record
    }
    if (this.#end === this.#pages.length * PAGE_RECORDS)
      this.#pages.push(new Uint32Array(PAGE_RECORDS * WORDS).fill(FREE))
    return this.#end++
  }

  #word(record: number, word: number): number {
    return this.#page(record)[positionOf(record) + word] as number
  }

  #page(record: number): Uint32Array {
    const page = this.#pages[Math.floor(record / PAGE_RECORDS)]
    assert(page !== undefined, 'a record has a number that was given')
    return page
  }
}

function positionOf(record: number): number {
  return (record % PAGE_RECORDS) * WORDS
}
