import { join } from 'node:path'
import { assert } from '../../../protocol/assert.ts'
import { asMayflyError, MayflyError } from '../../../protocol/errors.ts'
import {
  type Checksums,
  checksumsOf,
  coveringBlocks,
  cutRange,
  findDamage,
  verifyBlocks,
} from '../checksums.ts'
import { SSD_SEGMENT_BYTES_MAX, SSD_SEGMENT_BYTES_MIN, SSD_WRITES_MAX } from '../limits.ts'
import type { Range, TierSpace } from '../tier-store.ts'
import { type Append, AppendQueue, type Written } from './append-queue.ts'
import { makeFolder, removeFolder } from './disk.ts'
import { RecordTable } from './record-table.ts'
import { Segment } from './segment.ts'

export interface LogEvents {
  /** A segment should be compacted. */
  readonly wasteful: (segment: Segment) => void
  /** The log and its files are removed. */
  readonly dropped: () => void
}

/** A record read by compaction. */
export interface RelocatedRecord {
  readonly record: number
  readonly offset: number
  /** Null if the bytes are damaged. */
  readonly bytes: Buffer | null
}

/**
 * One job on the SSD: append-only segments and an in-memory index of records. Nothing is synced or read after
 * the process has ended, so the files hold payload alone.
 */
export class SegmentLog implements TierSpace {
  readonly #dir: string
  readonly #events: LogEvents
  readonly #table = new RecordTable()
  readonly #segments = new Map<number, Segment>()
  readonly #queue = new AppendQueue()
  #active: Segment | null = null
  #nextSegment = 0
  #writes = 0
  #pumped: Promise<void> | null = null
  #whenWritten: (() => void) | null = null
  #usedBytes = 0
  #dropped: Promise<void> | null = null

  constructor(dir: string, events: LogEvents) {
    this.#dir = dir
    this.#events = events
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get records(): number {
    return this.#table.records
  }

  /** Disk usage of its files: live records and garbage. */
  get diskBytes(): number {
    let bytes = 0
    for (const { endBytes } of this.#segments.values()) bytes += endBytes
    return bytes
  }

  async write(bytes: Buffer): Promise<number> {
    // Computed per record while others are being written, not for a whole batch at once.
    const checksums = checksumsOf(bytes)
    return await this.#append(bytes, ({ segment, offset }) => {
      const record = this.#table.add({ segment: segment.number, offset, bytes: bytes.length, checksums })
      segment.enter(record, bytes.length)
      this.#usedBytes += bytes.length
      return record
    })
  }

  async read(record: number, range: Range): Promise<Buffer> {
    this.#requireOpen()
    if (this.#table.isLost(record))
      throw new MayflyError('OBJECT_LOST', 'Its record was found damaged by compaction')
    const recordBytes = this.#table.bytesOf(record)
    const checksums = this.#table.checksumsOf(record)
    const { segment, offset } = this.#placeOf(record)
    const blocks = coveringBlocks(range, recordBytes)
    const bytes = await segment.read({ offset: offset + blocks.offset, length: blocks.length })
    verifyBlocks(bytes, blocks, checksums)
    return cutRange(bytes, blocks, range)
  }

  remove(record: number): void {
    const bytes = this.#table.bytesOf(record)
    const segment = this.#segments.get(this.#table.segmentOf(record))
    this.#table.remove(record)
    this.#usedBytes -= bytes
    if (segment !== undefined) this.#release(segment, bytes)
  }

  drop(): Promise<void> {
    this.#dropped ??= this.#removeFiles()
    return this.#dropped
  }

  /** The live records of a segment at this moment; check again before relying on it. */
  *liveRecords(segment: Segment): Generator<{ record: number; offset: number; bytes: number }> {
    for (const record of segment.records()) {
      if (this.#table.segmentOf(record) !== segment.number) continue
      yield { record, offset: this.#table.offsetOf(record), bytes: this.#table.bytesOf(record) }
    }
  }

  /**
   * Reads a segment from the first to the last of the records, in one piece. Rejects if the disk cannot read
   * it.
   */
  async readTogether(
    segment: Segment,
    records: readonly { record: number; offset: number; bytes: number }[],
  ) {
    this.#requireOpen()
    const first = records[0]
    const last = records.at(-1)
    assert(first !== undefined && last !== undefined, 'something is read')
    const checksums = records.map(({ record }) => this.#table.checksumsOf(record))
    const span = await segment.read({ offset: first.offset, length: last.offset + last.bytes - first.offset })
    return records.map(({ record, offset, bytes }, index): RelocatedRecord => {
      const found = span.subarray(offset - first.offset, offset - first.offset + bytes)
      return { record, offset, bytes: isIntact(found, bytes, checksums[index] ?? []) ? found : null }
    })
  }

  /** Rewrites a record unless it was removed meanwhile; damaged bytes make it lost. */
  async relocate(from: Segment, { record, offset, bytes }: RelocatedRecord): Promise<void> {
    const before = { segment: from.number, offset }
    if (this.#dropped !== null || !this.#table.isAt(record, before)) return
    if (bytes === null) {
      this.#release(from, this.#table.bytesOf(record))
      return this.#table.lose(record)
    }
    await this.#append(bytes, (at) => {
      if (!this.#table.isAt(record, before)) return
      this.#table.move(record, { segment: at.segment.number, offset: at.offset })
      at.segment.enter(record, bytes.length)
      this.#release(from, bytes.length)
    })
  }

  /** Removes a segment without live records. */
  async discard(segment: Segment): Promise<void> {
    if (this.#dropped !== null) return
    this.#segments.delete(segment.number)
    await segment.remove()
  }

  /**
   * `enter` runs in the same step as the end of the write; until then the segment counts as being written.
   */
  #append<T>(bytes: Buffer, enter: (at: Written) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#requireOpen()
      this.#queue.push({ bytes, written: (at) => resolve(enter(at)), failed: reject })
      this.#pumped ??= this.#pump()
    })
  }

  /** Writes batches from the queue, several concurrently. Never rejects. */
  async #pump(): Promise<void> {
    while (!this.#queue.empty) {
      while (this.#writes >= SSD_WRITES_MAX)
        await new Promise<void>((resolve) => (this.#whenWritten = resolve))
      const segment = await this.#activeSegment()
      void this.#writeBatch(this.#queue.take(), segment)
    }
    this.#pumped = null
  }

  /** Never rejects: each append learns its own outcome. */
  async #writeBatch(batch: readonly Append[], segment: Segment | Error): Promise<void> {
    if (segment instanceof Error) return failAll(batch, segment)
    this.#writes++
    segment.appending++
    try {
      const buffers = batch.map(({ bytes }) => bytes)
      let offset = segment.reserve(buffers.reduce((sum, { length }) => sum + length, 0))
      await segment.write(buffers, offset)
      this.#requireOpen()
      for (const { bytes, written } of batch) {
        written({ segment, offset })
        offset += bytes.length
      }
    } catch (error) {
      failAll(batch, asMayflyError(error))
    }
    segment.appending--
    this.#writes--
    this.#release(segment, 0)
    this.#whenWritten?.()
  }

  /** The segment for the next batch. An error is returned, not thrown: it concerns that batch alone. */
  async #activeSegment(): Promise<Segment | Error> {
    try {
      this.#requireOpen()
      if (this.#active !== null && this.#active.endBytes < this.#segmentBytesMax()) return this.#active
      this.#seal()
      if (this.#nextSegment === 0) await makeFolder(this.#dir)
      const number = this.#nextSegment++
      const segment = await Segment.create(number, join(this.#dir, `${number}.segment`))
      this.#segments.set(number, segment)
      this.#active = segment
      return segment
    } catch (error) {
      return asMayflyError(error)
    }
  }

  #segmentBytesMax(): number {
    return Math.min(SSD_SEGMENT_BYTES_MAX, Math.max(SSD_SEGMENT_BYTES_MIN, this.#usedBytes / 4))
  }

  #seal(): void {
    const segment = this.#active
    if (segment === null) return
    this.#active = null
    segment.sealed = true
    this.#release(segment, 0)
  }

  /** Counts bytes of a segment as garbage. */
  #release(segment: Segment, bytes: number): void {
    segment.liveBytes -= bytes
    if (this.#dropped === null && segment.wasteful) this.#events.wasteful(segment)
  }

  #placeOf(record: number): { segment: Segment; offset: number } {
    const segment = this.#segments.get(this.#table.segmentOf(record))
    assert(segment !== undefined, 'a record lies in a segment that is there')
    return { segment, offset: this.#table.offsetOf(record) }
  }

  async #removeFiles(): Promise<void> {
    await this.#pumped
    await Promise.all([...this.#segments.values()].map((segment) => segment.remove()))
    await removeFolder(this.#dir)
    this.#events.dropped()
  }

  #requireOpen(): void {
    if (this.#dropped !== null) throw new MayflyError('JOB_ENDED', 'The job has ended')
  }
}

function failAll(batch: readonly Append[], error: Error): void {
  for (const { failed } of batch) failed(error)
}

function isIntact(found: Buffer, bytes: number, checksums: Checksums): boolean {
  const blocks = { first: 0, offset: 0, length: bytes }
  return findDamage(found, blocks, checksums) === null
}
