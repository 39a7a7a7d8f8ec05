import { assert } from '../../protocol/assert.ts'
import { NOWHERE } from './arena.ts'
import type { JobMemory } from './job-memory.ts'
import { hasKey, type RecordFields, recordBytes, StoredRecord, writeRecord } from './record.ts'
import type { RecordHolder } from './record-log.ts'

/** A key as a table looks for it. */
export interface KeyHash {
  readonly bucket: number
  readonly key: Uint8Array
  /** `hashKey` of both. */
  readonly hash: number
}

const CELLS_MIN = 8
/** Above this part of its cells a table grows by half, so that on average four of six cells are in use. */
const LOAD_MAX = 0.8
const GROWTH = 1.5
/** Below this part it halves. */
const LOAD_MIN = 0.2

const HASHES = 2 ** 32

const noCells = new Uint32Array(0)

/**
 * The records of one slot by their keys: an open hash table in one typed array, two words for a cell: hash, address.
 * An address of 0 is an empty cell, for a page begins with its header. A cell's place follows the order of hashes, so
 * that a scan can stop after any hash and go on there, whatever was put and removed meanwhile.
 */
export class SlotTable implements RecordHolder {
  readonly #memory: JobMemory
  readonly #number: number
  #cells = noCells
  #capacity = 0
  #size = 0

  constructor(memory: JobMemory) {
    this.#memory = memory
    this.#number = memory.enter(this)
    assert(this.#number >= 0, 'a job has fewer tables than a record can name')
  }

  get size(): number {
    return this.#size
  }

  find(of: KeyHash): StoredRecord | undefined {
    const cell = this.#cellOf(of)
    return cell < 0 ? undefined : new StoredRecord(this.#memory.arena, this.#addressAt(cell))
  }

  /** Writes the record in the place of `before`, which is what is under the key. False, with nothing changed, if there is no memory. */
  set(fields: RecordFields & { of: KeyHash }, before: StoredRecord | undefined): boolean {
    const { arena, log } = this.#memory
    const { hash } = fields.of
    const bytes = recordBytes(fields)
    const beforeBytes = before === undefined ? 0 : before.recordBytes
    const at = before !== undefined && beforeBytes === bytes ? before.at : log.append(bytes)
    if (at === NOWHERE) return false
    writeRecord(arena, { at, table: this.#number }, fields)
    if (before === undefined) this.#insert(hash, at)
    else if (at !== before.at) {
      this.#cells[2 * this.#cellAt(hash, before.at) + 1] = at
      log.release(before.at, beforeBytes)
    }
    return true
  }

  remove(of: KeyHash): void {
    const cell = this.#cellOf(of)
    if (cell < 0) return
    const at = this.#addressAt(cell)
    this.#memory.log.release(at, new StoredRecord(this.#memory.arena, at).recordBytes)
    this.#close(cell)
    this.#size--
    if (this.#size < this.#capacity * LOAD_MIN && this.#capacity > CELLS_MIN)
      this.#resize(this.#capacity >>> 1)
  }

  moveRecord(from: StoredRecord, to: () => number): boolean {
    const cell = this.#cellOf({ bucket: from.bucket, key: from.key, hash: from.hash })
    if (cell < 0 || this.#addressAt(cell) !== from.at) return false
    const at = to()
    if (at !== NOWHERE) this.#cells[2 * cell + 1] = at
    return true
  }

  /**
   * Visits the records whose hash is `from` or more, about `cells` cells of them, and returns the hash to go on with;
   * `null` at the end. The table must not change before it returns. What is there during a whole scan is visited once.
   */
  scan(from: number, cells: number, visit: (record: StoredRecord, hash: number) => void): number | null {
    const capacity = this.#capacity
    const first = this.#homeOf(from)
    const last = first + cells
    const next = last >= capacity ? HASHES : Math.ceil((last / capacity) * HASHES)
    for (let step = 0, cell = first; step < capacity; step++) {
      const at = this.#addressAt(cell)
      // Behind the last cell only those follow that found theirs taken.
      if (at === 0 && first + step >= last) break
      const hash = this.#cells[2 * cell] as number
      if (at !== 0 && hash >= from && hash < next) visit(new StoredRecord(this.#memory.arena, at), hash)
      cell = cell + 1 === capacity ? 0 : cell + 1
    }
    return next >= HASHES ? null : next
  }

  forget(): void {
    this.#cells = noCells
    this.#capacity = 0
    this.#size = 0
  }

  /** Gives the table's number to others. It must be empty. */
  leave(): void {
    this.#memory.leave(this.#number)
  }

  #cellOf(of: KeyHash): number {
    const { arena } = this.#memory
    const cells = this.#cells
    const capacity = this.#capacity
    if (capacity === 0) return -1
    for (let cell = this.#homeOf(of.hash); ; cell = cell + 1 === capacity ? 0 : cell + 1) {
      const at = cells[2 * cell + 1] as number
      if (at === 0) return -1
      if (cells[2 * cell] === of.hash && hasKey(arena, at, of)) return cell
    }
  }

  /** The cell of the record at an address, which must be in the table. */
  #cellAt(hash: number, at: number): number {
    const capacity = this.#capacity
    let cell = this.#homeOf(hash)
    for (let step = 0; this.#addressAt(cell) !== at; step++) {
      assert(step < capacity, 'a record that is replaced is in the table')
      cell = cell + 1 === capacity ? 0 : cell + 1
    }
    return cell
  }

  /** Where a hash has its cell if that is free. */
  #homeOf(hash: number): number {
    return Math.floor((hash * this.#capacity) / HASHES)
  }

  #addressAt(cell: number): number {
    return this.#cells[2 * cell + 1] as number
  }

  #insert(hash: number, at: number): void {
    if (this.#size + 1 > this.#capacity * LOAD_MAX) {
      this.#resize(Math.max(CELLS_MIN, Math.ceil(this.#capacity * GROWTH)))
    }
    this.#place(hash, at)
    this.#size++
  }

  #place(hash: number, at: number): void {
    let cell = this.#homeOf(hash)
    while (this.#addressAt(cell) !== 0) cell = cell + 1 === this.#capacity ? 0 : cell + 1
    this.#cells[2 * cell] = hash
    this.#cells[2 * cell + 1] = at
  }

  #resize(capacity: number): void {
    const before = this.#cells
    this.#cells = new Uint32Array(2 * capacity)
    this.#capacity = capacity
    for (let word = 0; word < before.length; word += 2) {
      if (before[word + 1] !== 0) this.#place(before[word] as number, before[word + 1] as number)
    }
  }

  /** Empties a cell and moves those up that would not be found behind an empty one. */
  #close(cell: number): void {
    const cells = this.#cells
    const capacity = this.#capacity
    let hole = cell
    for (let at = cell; ; ) {
      at = at + 1 === capacity ? 0 : at + 1
      if (this.#addressAt(at) === 0) break
      const home = this.#homeOf(cells[2 * at] as number)
      if ((at - home + capacity) % capacity < (at - hole + capacity) % capacity) continue
      cells[2 * hole] = cells[2 * at] as number
      cells[2 * hole + 1] = this.#addressAt(at)
      hole = at
    }
    cells[2 * hole] = 0
    cells[2 * hole + 1] = 0
  }
}
