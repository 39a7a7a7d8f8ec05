import { isError, MayflyError } from '../../protocol/errors.ts'
import { hashKey } from '../../protocol/model/hash.ts'
import { chunksOf } from '../../protocol/model/manifest.ts'
import { peerOperations } from '../../protocol/operations/plane-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { PersistedName, PersistedStore, Stamp } from '../../service/persisted/persisted-store.ts'
import { Semaphore } from '../../service/process/locks.ts'
import type { NodeJob } from '../job/job.ts'
import type { KeyMutex } from '../job/key-mutex.ts'
import { type ChunkName, type KeyLocation, locate } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { PersistedState, persistedName } from '../slot/persisted-names.ts'
import { manifestOf } from '../slot/stored-object.ts'
import { TIER_READS_BYTES_MAX } from '../tiers/limits.ts'
import { SharedReads } from '../tiers/shared-reads.ts'
import type { OwnerCalls } from './owner-calls.ts'
import { enterPersisted, recoverableOf } from './persisted-entry.ts'

interface PersistedChunksOptions {
  readonly table: ObjectTable
  readonly store: PersistedStore
  readonly mutex: KeyMutex
  readonly owners: OwnerCalls
  readonly clock: Clock
}

/**
 * Chunks of persistent objects for nodes that have lost them, or never had them because the object was
 * recovered.
 */
export class PersistedChunks {
  readonly #options: PersistedChunksOptions
  readonly #reads = new Semaphore(TIER_READS_BYTES_MAX)
  /** A node whose call has timed out asks again, and joins the read that it began. */
  readonly #shared: SharedReads<Buffer>

  constructor(options: PersistedChunksOptions) {
    this.#options = options
    this.#shared = new SharedReads(options.clock)
  }

  /** As `read`, on the node that owns the key. */
  async fetch(job: NodeJob, chunk: ChunkName): Promise<Buffer | null> {
    const { bucket, key, version, index } = chunk
    const request = { job: job.id, bucket, key, version, index }
    try {
      return await this.#options.owners.run(
        job,
        hashKey(key, bucket),
        () => this.read(job, chunk),
        async (caller, deadlineMs) =>
          (await caller.call(peerOperations.keptChunk, request, { deadlineMs })).payload,
      )
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return null
      // The placement that is stale is this node's, not that of the client that asks for the chunk.
      if (!isError(error, 'STALE_PLACEMENT')) throw error
      throw new MayflyError(
        'UNAVAILABLE',
        'It is not known yet whether the object of the chunk is persistent',
        {
          cause: error,
        },
      )
    }
  }

  /**
   * Null if the key has no such version, or it is not persisted. The stamp tells whose bytes the store has, so
   * the chunks of an object are read concurrently; only if it has others, this runs in the key's mutex, because the
   * store has the next version before the slot does. Rejects with `OBJECT_LOST` if the object was removed from the
   * store by something else.
   */
  async read(job: NodeJob, chunk: ChunkName): Promise<Buffer | null> {
    const copied = { ...chunk, key: Buffer.from(chunk.key) }
    // A put that holds the mutex may be waiting for this very chunk.
    const seen = this.#find(job, locate(job, copied), copied)
    if (seen === null) return null
    const present = await this.#readStore(job, seen)
    if (present !== null) return present
    return await this.#options.mutex.run(job, copied, async (place) => {
      const found = this.#find(job, place, copied)
      if (found === null) return null
      const bytes = await this.#readStore(job, found)
      if (bytes !== null) return bytes
      if (await this.#takeNewer(job, place, found.name)) return null
      this.#markLost(job, place)
      throw new MayflyError('OBJECT_LOST', 'The object is not in the persistent store any more')
    })
  }

  /** Null if the bytes are not there. */
  async #readStore(job: NodeJob, { name, stamp, offset, length }: Piece): Promise<Buffer | null> {
    const { bucket, key } = name
    const shared = { name: `${stamp.bucketId}/${stamp.version}/${offset}/${bucket}/${key}`, bytes: length }
    try {
      const range = { offset, length }
      const { result, release } = await this.#shared.share(job, shared, () =>
        this.#reads.run(length, () => this.#options.store.get(name, range, stamp)),
      )
      release()
      return result.length === length ? result : null
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return null
      throw error
    }
  }

  /**
   * A put of unknown outcome turned out to have replaced the stored object: enters it in the slot. False if
   * there is none.
   */
  async #takeNewer(job: NodeJob, place: KeyLocation, name: PersistedName): Promise<boolean> {
    const found = await this.#options.store.describe(name)
    const recoverable = found === null ? null : recoverableOf(found)
    if (recoverable === null || recoverable.stamp.bucketId !== place.bucket) return false
    const { slot } = locate(job, place)
    const { version } = recoverable.stamp
    enterPersisted(job, { slot, key: place }, recoverable)
    slot.persisted.set(place, { name: recoverable.bucket, version, state: PersistedState.object })
    return true
  }

  /** Neither the nodes nor the store have all of its bytes. */
  #markLost(job: NodeJob, place: KeyLocation): void {
    const { table } = this.#options
    const object = table.find(job, place)
    // Its time ended meanwhile: an expired object is not lost.
    if (object === undefined) return
    table.remove(job, place, object)
    place.slot.persisted.remove(place)
    place.slot.markLost(place)
  }

  #find(job: NodeJob, place: KeyLocation, { version, index }: ChunkName): Piece | null {
    const mark = place.slot.persisted.find(place)
    const object = this.#options.table.find(job, place)
    if (mark?.state !== PersistedState.object || object?.version !== version) return null
    const name = persistedName(job.id, place.key, mark.name)
    const stamp = { bucketId: place.bucket, version: mark.version }
    for (const { index: at, offset, bytes } of chunksOf(manifestOf(job.memory, object)))
      if (at === index) return { name, stamp, offset, length: bytes }
    return null
  }
}

/** The range of a chunk in the store. */
interface Piece {
  readonly name: PersistedName
  readonly stamp: Stamp
  readonly offset: number
  readonly length: number
}
