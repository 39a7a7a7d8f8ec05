import { isError, MayflyError } from '../../protocol/errors.ts'
import { hashKey, slotOf } from '../../protocol/model/hash.ts'
import { checkRuns, manifestBytes } from '../../protocol/model/manifest.ts'
import {
  ANY_VERSION,
  type DataReplies,
  type DataRequests,
  ObjectKind,
} from '../../protocol/operations/data-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import {
  PERSISTED_CHANGES_IN_FLIGHT,
  PERSISTED_LARGE_PUTS_MAX,
  PERSISTED_SWEEPS_IN_FLIGHT,
} from '../../service/persisted/persisted-limits.ts'
import type { PersistedStore } from '../../service/persisted/persisted-store.ts'
import type { Reply } from '../../service/server/handlers.ts'
import { onePiece } from '../../service/server/one-piece.ts'
import type { Waiter } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { type KeyMutex, untilPersisted } from '../job/key-mutex.ts'
import type { Address, KeyLocation } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { detached, type PinnedReply } from '../memory/pinned-reply.ts'
import { Kind } from '../memory/record.ts'
import { byteRangeOf } from '../operations/byte-range.ts'
import type { LargeObjects } from '../operations/large-objects.ts'
import { checkVersion, type Objects, takesAll } from '../operations/objects.ts'
import { PersistedState } from '../slot/persisted-names.ts'
import { encodeManifest, isManifest, objectBytes, type StoredObject } from '../slot/stored-object.ts'
import { waitsOf } from '../slot/waits.ts'
import { verifyArrived } from '../tiers/checksums.ts'
import type { ChunkReader } from './chunk-reader.ts'
import { PersistedChanges } from './persisted-changes.ts'
import { enterPersisted, type PersistedEntry } from './persisted-entry.ts'

interface PersistenceOptions {
  readonly table: ObjectTable
  readonly objects: Objects
  readonly largeObjects: LargeObjects
  readonly chunks: ChunkReader
  readonly store: PersistedStore
  readonly mutex: KeyMutex
  readonly clock: Clock
}

/** Synchronous for a key without a persistent object. */
export type Answer<Name extends keyof DataReplies> =
  | PinnedReply<DataReplies[Name]>
  | Promise<PinnedReply<DataReplies[Name]>>

/** A put of a key that is or becomes persistent. */
interface Put<Head> {
  readonly request: Pick<DataRequests['put'], 'bucket' | 'keptBucket' | 'ttlSeconds' | 'metadata'>
  readonly bytes: number
  readonly pieces: AsyncIterable<Buffer>
  /** Makes the object visible in its slot. */
  readonly store: () => Reply<Head>
}

/** The outcome of a consume: its answer, or the object whose chunks must be fetched first. */
type ConsumeOutcome =
  | { readonly reply: Answer<'get'> }
  | { readonly reply: null; readonly incomplete: DataReplies['get'] }

/** A version some of whose bytes are missing. */
interface LostVersion {
  readonly version: number
  readonly error: MayflyError
}

/**
 * Mutations of persistent objects: change the persistent store, then the slot, then answer. Operations on
 * such a key are serialized, so that store and slot see the same order. All other mutations pass through.
 */
export class Persistence {
  readonly #options: PersistenceOptions
  readonly #changes: PersistedChanges
  #largePuts = 0

  constructor(options: PersistenceOptions) {
    this.#options = options
    this.#changes = new PersistedChanges(options)
  }

  /** As `Objects.put`. */
  put(job: NodeJob, request: DataRequests['put'], payload: Uint8Array): Answer<'put'> {
    if (request.keptBucket === '' && !this.mayBePersisted(job, request))
      return { head: this.#options.objects.put(job, request, payload) }
    // The message's memory is valid until this returns.
    return this.#put(job, { ...request, key: Buffer.from(request.key) }, Buffer.from(payload))
  }

  /** As `LargeObjects.commit`. Also throws `UNAVAILABLE` if too many large objects are being persisted. */
  commit(job: NodeJob, request: DataRequests['putCommit']): Answer<'putCommit'> {
    checkRuns(request.manifest)
    if (request.keptBucket === '' && !this.mayBePersisted(job, request))
      return { head: this.#options.largeObjects.commit(job, request) }
    return this.#options.mutex.run(job, request, (place) => this.#commit(job, place, request))
  }

  delete(job: NodeJob, request: DataRequests['delete']): Answer<'delete'> {
    const { objects } = this.#options
    if (!this.mayBePersisted(job, request)) return { head: objects.delete(job, request) }
    return this.#options.mutex.run(job, request, async (place) => {
      await this.#changes.remove(job, place)
      return applyAfterWrite(job, () => ({ head: objects.delete(job, request) }))
    })
  }

  /** A get that removes the object that it returns. */
  consume(job: NodeJob, request: DataRequests['get'], waiter: Waiter | null): Answer<'get'> {
    if (!this.mayBePersisted(job, request))
      return this.#options.objects.get(job, request, waiter, (copied) => this.consume(job, copied, waiter))
    return this.#consume(job, { ...request, key: Buffer.from(request.key) }, waiter)
  }

  /** Throws `BAD_REQUEST` for a persistent object: the store does not support append. */
  append(job: NodeJob, request: DataRequests['append'], payload: Uint8Array): Answer<'append'> {
    const { objects, table } = this.#options
    if (!this.mayBePersisted(job, request))
      return objects.append(job, request, payload, (copied, bytes) => this.append(job, copied, bytes))
    const copied = Buffer.from(payload)
    return this.#options.mutex.run(job, request, async (place) => {
      if (place.slot.persisted.hasObject(place) && table.find(job, place) !== undefined) {
        const what = 'key: its object was put with persist, and append adds to no such object'
        throw new MayflyError('BAD_REQUEST', what)
      }
      await this.#changes.remove(job, place)
      return await objects.append(job, request, copied)
    })
  }

  /** Removes persisted objects of deleted buckets. If it rejects, the rest is left for the next time. */
  async removeDeletedBuckets(job: NodeJob): Promise<void> {
    if (!job.persists) return
    for (const slot of [...job.everySlot()]) {
      if (job.buckets.anyDeleted) await untilPersisted(slot)
      const deleted = [...slot.persisted.buckets].filter((bucket) => job.buckets.isDeleted(bucket))
      if (deleted.length === 0) continue
      const left = deleted.flatMap((bucket) => slot.persisted.inBucket(bucket))
      await runInFlight(left, PERSISTED_CHANGES_IN_FLIGHT, (key) =>
        this.#changes.removeFromDeletedBucket(job, { slot, ...key }),
      )
    }
  }

  /**
   * Removes persisted objects that have expired, and possible remains of puts of unknown outcome. If it
   * rejects, the rest is left for the next time.
   */
  async removeStale(job: NodeJob): Promise<void> {
    if (!job.persists) return
    const keys = job.owned.touched.flatMap((slot) => slot?.persisted.staleKeys() ?? [])
    try {
      await runInFlight(keys, PERSISTED_SWEEPS_IN_FLIGHT, async (key) => {
        await this.#options.mutex.run(job, key, async (place) => {
          // Unless the key was put again meanwhile.
          if (place.slot.persisted.isStale(place)) await this.#changes.remove(job, place)
        })
      })
    } catch (error) {
      if (!isError(error, 'STALE_PLACEMENT', 'JOB_ENDED')) throw error
    }
  }

  /** Whether the key has a persisted object, or an operation on one is running. */
  mayBePersisted(job: NodeJob, { bucket, key }: Address): boolean {
    if (!job.persists) return false
    const slot = job.slots[slotOf(hashKey(key, bucket), job.owned.count)]
    if (slot === undefined || (slot.persisted.empty && slot.persisting.size === 0)) return false
    return slot.persisted.mayHave({ bucket, key }) || this.#options.mutex.isLocked(job, { bucket, key })
  }

  async #put(
    job: NodeJob,
    request: DataRequests['put'],
    payload: Buffer,
  ): Promise<Reply<DataReplies['put']>> {
    const { objects, table } = this.#options
    verifyArrived(payload, request.checksum)
    const bytes = payload.length
    const charge = table.chargeOf(request, { ...request, kind: Kind.value, bytes })
    return await withReserved(job, charge, (release) =>
      this.#options.mutex.run(job, request, async (place) => {
        table.check(job, place, request)
        return await this.#writeThrough(job, place, {
          request,
          bytes,
          pieces: onePiece(payload),
          store: () => {
            release()
            return { head: objects.put(job, request, payload) }
          },
        })
      }),
    )
  }

  async #commit(
    job: NodeJob,
    place: KeyLocation,
    request: DataRequests['putCommit'],
  ): Promise<Reply<DataReplies['putCommit']>> {
    const { chunks, largeObjects, table } = this.#options
    const { manifest, version } = request
    largeObjects.requireOpen(place.slot, version)
    table.check(job, place, request)
    if (this.#largePuts >= PERSISTED_LARGE_PUTS_MAX) {
      const what = `${PERSISTED_LARGE_PUTS_MAX} large objects are on their way from this node to the persistent store`
      throw new MayflyError('UNAVAILABLE', what)
    }
    const { length: bytes } = encodeManifest(manifest)
    const charge = table.chargeOf(place, { ...request, kind: Kind.manifest, bytes, checksum: null })
    this.#largePuts++
    largeObjects.holdOpen(place.slot, version)
    try {
      return await withReserved(job, charge, (release) =>
        this.#writeThrough(job, place, {
          request,
          bytes: manifestBytes(manifest),
          pieces: chunks.read(job, request),
          store: () => {
            release()
            return { head: largeObjects.commit(job, request) }
          },
        }),
      )
    } finally {
      this.#largePuts--
      largeObjects.releaseOpen(place.slot, version)
    }
  }

  async #consume(
    job: NodeJob,
    request: DataRequests['get'],
    waiter: Waiter | null,
  ): Promise<PinnedReply<DataReplies['get']>> {
    const { chunks, objects, table } = this.#options
    let missing: LostVersion | null = null
    for (let complete = ANY_VERSION; ; ) {
      const outcome = await this.#options.mutex.run(job, request, async (place): Promise<ConsumeOutcome> => {
        const object = table.find(job, place)
        // Wait for the key outside the mutex: its put needs the mutex.
        if (object === undefined)
          return { reply: objects.get(job, request, waiter, (copied) => this.consume(job, copied, waiter)) }
        const { version } = object
        if (missing?.version === version) throw missing.error
        if (!place.slot.persisted.mayHave(place) || !takesObject(job, object, request))
          return { reply: detached(await objects.get(job, request, null)) }
        return await this.#consumePersisted(job, place, { request, complete })
      })
      if (outcome.reply !== null) return await outcome.reply
      // Chunks that only the persistent store has are fetched to their nodes first, outside the mutex, which
      // reading them needs.
      const { version, manifest } = outcome.incomplete
      try {
        for await (const chunk of chunks.read(job, { ...request, version, manifest })) void chunk
        complete = version
      } catch (error) {
        if (!isError(error, 'NOT_FOUND', 'OBJECT_LOST')) throw error
        // Unless the object has been replaced meanwhile.
        missing = { version, error: new MayflyError('OBJECT_LOST', error.reason) }
      }
    }
  }

  /**
   * Reads an object before it is removed from store and slot. An object with chunks is only removed if they
   * are `complete`.
   */
  async #consumePersisted(
    job: NodeJob,
    place: KeyLocation,
    { request, complete }: { request: DataRequests['get']; complete: number },
  ): Promise<ConsumeOutcome> {
    const { objects } = this.#options
    const reply = detached(await objects.get(job, { ...request, consume: false }, null))
    const { head } = reply
    if (head.kind === ObjectKind.manifest && head.version !== complete)
      return { reply: null, incomplete: head }
    try {
      await this.#changes.remove(job, place)
      applyAfterWrite(job, () => objects.delete(job, request))
      return { reply: { ...reply, head: { ...head, consumed: true } } }
    } catch (error) {
      reply.sent?.()
      throw error
    }
  }

  /** Changes the persistent store first, then the slot. */
  async #writeThrough<Head extends { version: number }>(
    job: NodeJob,
    place: KeyLocation,
    put: Put<Head>,
  ): Promise<Reply<Head | { version: number }>> {
    const { keptBucket, metadata, ttlSeconds } = put.request
    if (keptBucket === '') {
      await this.#changes.remove(job, place)
      return applyAfterWrite(job, put.store)
    }
    const expiresAtMs = ttlSeconds === 0 ? 0 : Math.round(this.#options.clock.wallMs() + ttlSeconds * 1000)
    const object = { bytes: put.bytes, expiresAtMs, metadata }
    await this.#changes.put(job, place, { name: keptBucket, object, pieces: put.pieces })
    return await this.#storeInSlot(job, place, { object, store: put.store })
  }

  /**
   * The store has the object. If its bytes no longer fit into the slot, although there was room when the put
   * began, the slot enters it as one whose bytes only the store has; the replaced object is gone.
   */
  async #storeInSlot<Head extends { version: number }>(
    job: NodeJob,
    place: KeyLocation,
    { object, store }: { object: PersistedEntry; store: () => Reply<Head> },
  ): Promise<Reply<Head | { version: number }>> {
    try {
      return applyAfterWrite(job, store)
    } catch (error) {
      if (isError(error, 'VERSION_MISMATCH')) {
        // The object of that version expired while the store was written.
        await this.#changes.remove(job, place).catch((left) => Promise.reject(unknownUnlessDropped(left)))
        throw error
      }
      if (!isError(error, 'CAPACITY_EXCEEDED')) throw unknownUnlessDropped(error)
    }
    const { slot } = place
    const before = slot.find(place)
    if (before !== undefined) this.#options.table.remove(job, place, before)
    try {
      const head = applyAfterWrite(job, () => ({
        version: enterPersisted(job, { slot, key: place }, object),
      }))
      waitsOf(place)?.answer(job.waitSteps)
      return { head }
    } catch (error) {
      const mark = slot.persisted.find(place)
      if (mark !== undefined) slot.persisted.set(place, { ...mark, state: PersistedState.noRoom })
      throw unknownUnlessDropped(error)
    }
  }
}

/** The store was changed and the slot could not follow. In a deleted bucket nothing remains; else the outcome is unknown. */
function unknownUnlessDropped(error: unknown): MayflyError {
  if (isError(error, 'BUCKET_NOT_FOUND', 'OUTCOME_UNKNOWN')) return error
  const what = 'The persistent store was changed, and the key could not follow'
  return new MayflyError('OUTCOME_UNKNOWN', what, { cause: error })
}

/**
 * Reserves RAM while an object is being written to the persistent store. `release` frees the reservation for
 * the object itself.
 */
async function withReserved<Result>(
  job: NodeJob,
  bytes: number,
  task: (release: () => void) => Promise<Result>,
): Promise<Result> {
  job.admit(bytes)
  let reservedBytes = bytes
  job.charge(reservedBytes)
  const release = (): void => {
    job.charge(-reservedBytes)
    reservedBytes = 0
  }
  try {
    return await task(release)
  } finally {
    release()
  }
}

/**
 * Changes the slot after the store, so that both agree: also in a slot that is being released, which waits
 * for this, and after a lapsed lease. In the latter case the outcome is unknown.
 */
function applyAfterWrite<Result>(job: NodeJob, change: () => Result): Result {
  const result = job.runAdmitted(change)
  if (job.hasLease) return result
  throw new MayflyError('OUTCOME_UNKNOWN', "The node's lease lapsed while the store was changed")
}

/** Whether a consuming get removes the object; a get of a part only reads it. Throws what the get would. */
function takesObject(job: NodeJob, object: StoredObject, request: DataRequests['get']): boolean {
  checkVersion(object, request)
  if (isManifest(object)) return true
  const bytes = objectBytes(job.memory, object)
  return takesAll(request, { version: object.version, bytes }, byteRangeOf(request, bytes).bytes)
}
