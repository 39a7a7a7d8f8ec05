import { assert } from '../../protocol/assert.ts'
import { NOWHERE } from './arena.ts'
import type { JobMemory } from './job-memory.ts'
import {
  type PlainKey,
  type PlainRead,
  type PlainRecord,
  plainBytes,
  plainCharge,
  plainContentBytes,
  readPlain,
  writePlain,
} from './plain-record.ts'
import { type RecordFields, recordBytes, StoredRecord, writeRecord } from './record.ts'
import { RecordKey } from './record-key.ts'
import type { RecordHolder } from './record-log.ts'
import type { KeyHash } from './table-hash.ts'
import { cellsFor, HASHES, TableSegment } from './table-segment.ts'

/**
 * Full segments of this size are split instead of grown. Copying so many cells takes about 10 µs, for which a
 * put may have to wait.
 */
const SEGMENT_CELLS_MAX = 512
/** Two neighbouring segments with fewer records together are merged. */
const MERGED_SIZE_MAX = SEGMENT_CELLS_MAX / 4
/** Hash bits that the directory uses: 65,536 segments, for 20 million records. Beyond that segments grow. */
const DEPTH_MAX = 16

const none = new TableSegment({ low: 0, depth: 0 })

/**
 * The records of one slot by key: an extendible hash table (Fagin and others, 1979), so that growing and
 * shrinking are steps of bounded work. A directory maps the leading bits of a hash to a segment. Segments and
 * their cells are in hash order, so a scan can stop after any hash and continue there despite changes in
 * between.
 */
export class SlotTable implements RecordHolder {
  readonly #memory: JobMemory
  readonly #number: number
  /** The segment of hash 0. Most tables have only this one, which is found without the directory. */
  #first = none
  /**
   * Indexed by the leading `#depth` bits of a hash; a segment with a shorter common prefix has several
   * entries.
   */
  #segments: TableSegment[] = []
  #depth = 0
  #size = 0

  constructor(memory: JobMemory) {
    this.#memory = memory
    this.#number = memory.registerTable(this)
    assert(this.#number >= 0, 'a job has fewer tables than a record can name')
  }

  get size(): number {
    return this.#size
  }

  find(key: KeyHash): StoredRecord | undefined {
    const { arena } = this.#memory
    const segment = this.#segmentOf(key.hash)
    const cell = segment.cellOf(arena, key)
    return cell < 0 ? undefined : new StoredRecord(arena, segment.addressAt(cell))
  }

  has({ hash, bucket, keys, keyStart, keyBytes }: PlainKey): boolean {
    const { arena } = this.#memory
    return this.#segmentOf(hash).cellOfRange(arena, hash, bucket, keys, keyStart, keyBytes) >= 0
  }

  /** Sets where the value of the key is. False if the key has no plain record. */
  findPlain(read: PlainRead): boolean {
    const { arena } = this.#memory
    const { hash, bucket, keys, keyStart, keyBytes } = read
    const segment = this.#segmentOf(hash)
    const cell = segment.cellOfRange(arena, hash, bucket, keys, keyStart, keyBytes)
    return cell >= 0 && readPlain(arena, segment.addressAt(cell), read)
  }

  /**
   * Writes the record, replacing `before`, the current record of the key. False, with nothing changed, if
   * there is no memory.
   */
  set(fields: RecordFields & { key: KeyHash }, before: StoredRecord | undefined): boolean {
    const { arena, log } = this.#memory
    const { hash } = fields.key
    const bytes = recordBytes(fields)
    const beforeBytes = before === undefined ? 0 : before.recordBytes
    const at = before !== undefined && beforeBytes === bytes ? before.address : log.append(bytes)
    if (at === NOWHERE) return false
    writeRecord(arena, { at, table: this.#number }, fields)
    if (before === undefined) this.#insert(hash, at)
    else if (at !== before.address) {
      const segment = this.#segmentOf(hash)
      segment.moveTo(segment.cellAt(hash, before.address), at)
      log.release(before.address, beforeBytes)
    }
    return true
  }

  /**
   * Writes a plain record, replacing that of its key. `admit` receives the change of the charge first, and may
   * throw. Returns that change; null, with nothing changed, if the record to replace is not plain, or there is
   * no memory: `set` handles these.
   */
  setPlain(record: PlainRecord, holder: { admit(bytes: number): void }): number | null {
    const { arena, log } = this.#memory
    const { hash, bucket, keys, keyStart, keyBytes } = record
    const segment = this.#segmentOf(hash)
    const cell = segment.cellOfRange(arena, hash, bucket, keys, keyStart, keyBytes)
    const bytes = plainBytes(keyBytes, record.bytes)
    const charge = plainCharge(keyBytes, record.bytes)
    if (cell < 0) {
      holder.admit(charge)
      const at = log.append(bytes)
      if (at === NOWHERE) return null
      writePlain(arena, at, this.#number, record)
      this.#insert(hash, at)
      return charge
    }
    const before = segment.addressAt(cell)
    const contentBytes = plainContentBytes(arena, before)
    if (contentBytes < 0) return null
    const change = charge - plainCharge(keyBytes, contentBytes)
    holder.admit(change)
    const beforeBytes = plainBytes(keyBytes, contentBytes)
    const at = beforeBytes === bytes ? before : log.append(bytes)
    if (at === NOWHERE) return null
    writePlain(arena, at, this.#number, record)
    if (at !== before) {
      segment.moveTo(cell, at)
      log.release(before, beforeBytes)
    }
    return change
  }

  remove(key: KeyHash): void {
    const { arena, log } = this.#memory
    const segment = this.#segmentOf(key.hash)
    const cell = segment.cellOf(arena, key)
    if (cell < 0) return
    const at = segment.addressAt(cell)
    log.release(at, new StoredRecord(arena, at).recordBytes)
    this.#close(segment, cell)
  }

  /**
   * Removes the plain record of the key. Returns what it was charged; 0 if the key has no record; -1, with nothing
   * changed, if it has another one.
   */
  removePlain(key: PlainKey): number {
    const { arena, log } = this.#memory
    const { hash, bucket, keys, keyStart, keyBytes } = key
    const segment = this.#segmentOf(hash)
    const cell = segment.cellOfRange(arena, hash, bucket, keys, keyStart, keyBytes)
    if (cell < 0) return 0
    const at = segment.addressAt(cell)
    const contentBytes = plainContentBytes(arena, at)
    if (contentBytes < 0) return -1
    log.release(at, plainBytes(keyBytes, contentBytes))
    this.#close(segment, cell)
    return plainCharge(keyBytes, contentBytes)
  }

  moveRecord(record: StoredRecord, append: () => number): boolean {
    const key = { bucket: record.bucket, key: record.key, hash: record.hash }
    const segment = this.#segmentOf(key.hash)
    const cell = segment.cellOf(this.#memory.arena, key)
    if (cell < 0 || segment.addressAt(cell) !== record.address) return false
    const at = append()
    if (at !== NOWHERE) segment.moveTo(cell, at)
    return true
  }

  /**
   * Visits the records with a hash of `from` or more, in about `cells` cells. Returns the hash to continue
   * with; `null` at the end. The table must not change during the call. A record that exists during a whole
   * scan is visited once.
   */
  scan(from: number, cells: number, visit: (record: StoredRecord, hash: number) => void): number | null {
    const { arena } = this.#memory
    return this.#scan(from, cells, (at, hash) => visit(new StoredRecord(arena, at), hash))
  }

  /** As `scan`, of the keys alone, which takes half the time. */
  scanKeys(from: number, cells: number, visit: (key: RecordKey) => void): number | null {
    const { arena } = this.#memory
    const key = new RecordKey()
    return this.#scan(from, cells, (at) => visit(key.read(arena, at)))
  }

  #scan(from: number, cells: number, look: (at: number, hash: number) => void): number | null {
    for (let start = from, left = cells; ; ) {
      const segment = this.#segmentOf(start)
      const next = segment.scan(start, left, look)
      if (next >= HASHES) return null
      left -= Math.max(1, segment.cellsFrom(start))
      if (next < segment.end || left <= 0) return next
      start = next
    }
  }

  forget(): void {
    this.#first = none
    this.#segments = []
    this.#depth = 0
    this.#size = 0
  }

  /** Returns the table's number to the job. The table must be empty. */
  release(): void {
    this.#memory.unregisterTable(this.#number)
  }

  #close(segment: TableSegment, cell: number): void {
    segment.close(cell)
    this.#size--
    if (segment.isSparse) this.#shrink(segment)
  }

  #segmentOf(hash: number): TableSegment {
    const depth = this.#depth
    return depth === 0 ? this.#first : (this.#segments[hash >>> (32 - depth)] as TableSegment)
  }

  #insert(hash: number, at: number): void {
    if (this.#first === none) {
      this.#first = new TableSegment({ low: 0, depth: 0 })
      this.#segments = [this.#first]
    }
    let segment = this.#segmentOf(hash)
    while (segment.isFull) {
      if (segment.capacity < SEGMENT_CELLS_MAX || segment.depth === DEPTH_MAX)
        segment.resize(cellsFor(segment.capacity))
      else this.#split(segment)
      segment = this.#segmentOf(hash)
    }
    segment.add(hash, at)
    this.#size++
  }

  #split(segment: TableSegment): void {
    const depth = segment.depth + 1
    if (depth > this.#depth) {
      this.#segments = this.#segments.flatMap((each) => [each, each])
      this.#depth++
    }
    const middle = segment.low + HASHES / 2 ** depth
    let lower = 0
    segment.each((hash) => {
      if (hash < middle) lower++
    })
    const low = new TableSegment({ low: segment.low, depth, cells: cellsFor(lower) })
    const high = new TableSegment({ low: middle, depth, cells: cellsFor(segment.size - lower) })
    segment.each((hash, at) => (hash < middle ? low : high).add(hash, at))
    this.#enter(low)
    this.#enter(high)
  }

  /** Shrinks a sparse segment and merges it with its neighbour while both are sparse. */
  #shrink(sparse: TableSegment): void {
    let segment = sparse
    segment.resize(segment.capacity >>> 1)
    while (segment.depth > 0) {
      const span = HASHES / 2 ** segment.depth
      const isLower = (segment.low / span) % 2 === 0
      const neighbour = this.#segmentOf(isLower ? segment.low + span : segment.low - span)
      const size = segment.size + neighbour.size
      if (neighbour.depth !== segment.depth || size > MERGED_SIZE_MAX) return
      const { low } = isLower ? segment : neighbour
      const merged = new TableSegment({ low, depth: segment.depth - 1, cells: cellsFor(size) })
      for (const half of [segment, neighbour]) half.each((hash, at) => merged.add(hash, at))
      this.#enter(merged)
      this.#narrow()
      segment = merged
    }
  }

  /** Halves the directory if no segment needs its last bit. */
  #narrow(): void {
    if (this.#segments.some(({ depth }) => depth === this.#depth)) return
    this.#segments = this.#segments.filter((_, index) => index % 2 === 0)
    this.#depth--
  }

  /** Enters the segment in all directory entries of its range. */
  #enter(segment: TableSegment): void {
    const count = 2 ** (this.#depth - segment.depth)
    const first = segment.low / (HASHES / 2 ** this.#depth)
    this.#segments.fill(segment, first, first + count)
    if (first === 0) this.#first = segment
  }
}
