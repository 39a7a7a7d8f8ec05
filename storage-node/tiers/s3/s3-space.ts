import { assert } from '../../../protocol/assert.ts'
import { isError, isOwnFault, MayflyError } from '../../../protocol/errors.ts'
import { backoffMs, type Runtime, sleep } from '../../../protocol/runtime.ts'
import { upload } from '../../../service/s3/multipart.ts'
import type { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { onePiece } from '../../../service/server/one-piece.ts'
import { type Checksums, checksumsOf, coveringBlocks, cutRange, verifyBlocks } from '../checksums.ts'
import { S3_DROP_ATTEMPTS_MAX, S3_DROP_RETRY_MS_MAX, S3_DROP_RETRY_MS_MIN } from '../limits.ts'
import type { Range, TierSpace } from '../tier-store.ts'
import type { DiscardQueue } from './discard-queue.ts'

interface Record {
  readonly bytes: number
  readonly checksums: Checksums
  /** Reads in flight. */
  reads: number
  isRemoved: boolean
}

/** The same for all jobs of a node. */
export interface S3SpaceOptions {
  readonly bucket: S3Bucket
  readonly discards: DiscardQueue
  readonly runtime: Runtime
}

/**
 * One job on S3, one object per record. Record numbers are never reused: a late deletion of the old object
 * could remove the new one.
 */
export class S3Space implements TierSpace {
  readonly #options: S3SpaceOptions
  /** The prefix of the job, shared by all nodes. */
  readonly #jobPrefix: string
  readonly #node: string
  readonly #records = new Map<number, Record>()
  readonly #writes = new Set<Promise<void>>()
  #next = 0
  #usedBytes = 0
  #dropped: Promise<void> | null = null

  constructor(owner: { jobPrefix: string; node: string }, options: S3SpaceOptions) {
    this.#jobPrefix = owner.jobPrefix
    this.#node = owner.node
    this.#options = options
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get records(): number {
    return this.#records.size
  }

  async write(bytes: Buffer): Promise<number> {
    this.#requireOpen()
    const record = this.#next++
    const checksums = checksumsOf(bytes)
    const writing = upload(
      this.#options.bucket,
      { key: this.#keyOf(record), bytes: bytes.length },
      onePiece(bytes),
    )
    this.#writes.add(writing)
    try {
      await writing
    } finally {
      this.#writes.delete(writing)
    }
    this.#requireOpen()
    this.#records.set(record, { bytes: bytes.length, checksums, reads: 0, isRemoved: false })
    this.#usedBytes += bytes.length
    return record
  }

  async read(record: number, range: Range): Promise<Buffer> {
    this.#requireOpen()
    const found = this.#records.get(record)
    assert(found !== undefined, 'a record is read while it is there')
    if (range.length === 0) return Buffer.alloc(0)
    const blocks = coveringBlocks(range, found.bytes)
    found.reads++
    try {
      const bytes = await this.#fetch(record, blocks)
      verifyBlocks(bytes, blocks, found.checksums)
      return cutRange(bytes, blocks, range)
    } finally {
      found.reads--
      if (found.isRemoved) this.#discardUnread(record, found)
    }
  }

  remove(record: number): void {
    const found = this.#records.get(record)
    assert(found !== undefined, 'a record is removed once')
    this.#records.delete(record)
    this.#usedBytes -= found.bytes
    found.isRemoved = true
    this.#discardUnread(record, found)
  }

  drop(): Promise<void> {
    this.#dropped ??= this.#deleteAll()
    return this.#dropped
  }

  /** The last of its reads discards a removed record, so that none of them fails. */
  #discardUnread(record: number, { reads }: Record): void {
    if (reads === 0 && this.#dropped === null) this.#options.discards.add(this.#keyOf(record))
  }

  async #fetch(record: number, range: Range): Promise<Buffer> {
    try {
      return await this.#options.bucket.get(this.#keyOf(record), range)
    } catch (error) {
      this.#requireOpen()
      if (!isError(error, 'NOT_FOUND')) throw error
      throw new MayflyError('OBJECT_LOST', 'The S3 tier does not have its record any more')
    }
  }

  /**
   * Removes the job's objects of all nodes; the job has ended everywhere. Rejects if the endpoint stays down:
   * the lifecycle rule then removes them.
   */
  async #deleteAll(): Promise<void> {
    await Promise.allSettled(this.#writes)
    const { bucket, runtime } = this.#options
    const bounds = { msMin: S3_DROP_RETRY_MS_MIN, msMax: S3_DROP_RETRY_MS_MAX }
    for (let attempt = 1; ; attempt++) {
      try {
        return await bucket.deletePrefix(this.#jobPrefix)
      } catch (error) {
        if (isOwnFault(error) || attempt === S3_DROP_ATTEMPTS_MAX) throw error
        await sleep(runtime.clock, backoffMs(attempt, bounds, runtime.random))
      }
    }
  }

  #keyOf(record: number): string {
    return `${this.#jobPrefix}${this.#node}/${record}`
  }

  #requireOpen(): void {
    if (this.#dropped !== null) throw new MayflyError('JOB_ENDED', 'The job has ended')
  }
}
