import { ANY_VERSION, type DataReplies, type DataRequests, ObjectKind } from '../protocol/data-operations.ts'
import { isError, MayflyError } from '../protocol/errors.ts'
import { hashKey, slotOf } from '../protocol/hash.ts'
import { runInFlight } from '../protocol/in-flight.ts'
import { checkRuns, manifestBytes } from '../protocol/manifest.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Reply } from '../service/handlers.ts'
import { KEPT_CHANGES_IN_FLIGHT, KEPT_LARGE_PUTS_MAX } from '../service/kept/kept-limits.ts'
import type { KeptStore } from '../service/kept/kept-store.ts'
import { onePiece } from '../service/one-piece.ts'
import type { Waiter } from '../service/peer.ts'
import type { ChunkSource } from './chunk-source.ts'
import type { JobSpace } from './job-space.ts'
import { encodeAbout } from './kept-about.ts'
import { keptName } from './kept-names.ts'
import { type KeyTurns, untilKept } from './key-turns.ts'
import type { LargeObjects } from './large-objects.ts'
import type { ObjectTable } from './object-table.ts'
import { checkVersion, type Objects, takesAll } from './objects.ts'
import { pieceOf } from './piece.ts'
import { kept, type PinnedReply } from './pinned-reply.ts'
import { type Address, locate, type Place } from './place.ts'
import { Kind } from './ram/record.ts'
import type { Slot } from './slot.ts'
import { encodeManifest, isManifest, objectBytes, type StoredObject } from './stored-object.ts'

interface KeepingOptions {
  readonly table: ObjectTable
  readonly objects: Objects
  readonly largeObjects: LargeObjects
  readonly chunks: ChunkSource
  readonly store: KeptStore
  readonly turns: KeyTurns
  readonly clock: Clock
}

/** At once for a key that the kept store has nothing to do with. */
export type Answer<Name extends keyof DataReplies> =
  | PinnedReply<DataReplies[Name]>
  | Promise<PinnedReply<DataReplies[Name]>>

/** A put of a key that the kept store has to do with. */
interface Put<Head> {
  readonly request: Pick<DataRequests['put'], 'bucket' | 'keptBucket' | 'ttlSeconds' | 'metadata'>
  readonly bytes: number
  readonly pieces: AsyncIterable<Buffer>
  /** Makes it visible in its slot. */
  readonly store: () => Reply<Head>
}

/** What came of a consume: its answer, or the object whose chunks have to be brought to their nodes first. */
type Taken =
  | { readonly reply: Answer<'get'> }
  | { readonly reply: null; readonly incomplete: DataReplies['get'] }

/** A version of which not all bytes are there. */
interface Lost {
  readonly version: number
  readonly error: MayflyError
}

/**
 * Mutations of keys whose object outlives its job. The kept store is changed first, then the slot, then the call is answered; all
 * that is done to such a key meanwhile waits its turn, so that both see the same order. Any other mutation goes straight on.
 */
export class Keeping {
  readonly #options: KeepingOptions
  #largePuts = 0

  constructor(options: KeepingOptions) {
    this.#options = options
  }

  /** As `Objects.put`. */
  put(job: JobSpace, request: DataRequests['put'], payload: Uint8Array): Answer<'put'> {
    if (request.keptBucket === '' && !this.mayConcern(job, request))
      return { head: this.#options.objects.put(job, request, payload) }
    // What the message holds is valid only until this returns.
    return this.#put(job, { ...request, key: Buffer.from(request.key) }, Buffer.from(payload))
  }

  /** As `LargeObjects.commit`. Also `UNAVAILABLE`, where too many go to the kept store at once. */
  commit(job: JobSpace, request: DataRequests['putCommit']): Answer<'putCommit'> {
    checkRuns(request.manifest)
    if (request.keptBucket === '' && !this.mayConcern(job, request))
      return { head: this.#options.largeObjects.commit(job, request) }
    return this.#options.turns.take(job, request, (place) => this.#commit(job, place, request))
  }

  delete(job: JobSpace, request: DataRequests['delete']): Answer<'delete'> {
    const { objects } = this.#options
    if (!this.mayConcern(job, request)) return { head: objects.delete(job, request) }
    return this.#options.turns.take(job, request, async (place) => {
      await this.#removeKept(job, place)
      return decided(job, () => ({ head: objects.delete(job, request) }))
    })
  }

  /** A get that removes what it returns. */
  consume(job: JobSpace, request: DataRequests['get'], waiter: Waiter | null): Answer<'get'> {
    if (!this.mayConcern(job, request))
      return this.#options.objects.get(job, request, waiter, (kept) => this.consume(job, kept, waiter))
    return this.#consume(job, { ...request, key: Buffer.from(request.key) }, waiter)
  }

  /** Throws `BAD_REQUEST` for an object that outlives its job: the kept store adds to none. */
  append(job: JobSpace, request: DataRequests['append'], payload: Uint8Array): Answer<'append'> {
    const { objects, table } = this.#options
    if (!this.mayConcern(job, request))
      return objects.append(job, request, payload, (kept, own) => this.append(job, kept, own))
    const own = Buffer.from(payload)
    return this.#options.turns.take(job, request, async (place) => {
      if (place.slot.kept.bucketOf(place) !== '' && table.find(job, place) !== undefined) {
        const what = 'key: its object was put with persist, and append adds to no such object'
        throw new MayflyError('BAD_REQUEST', what)
      }
      await this.#removeKept(job, place)
      return await objects.append(job, request, own)
    })
  }

  /** Removes what is kept of buckets that the job has dropped. Where it rejects, the rest is left for the next time. */
  async dropBuckets(job: JobSpace, buckets: readonly number[]): Promise<void> {
    if (!job.keeps || buckets.length === 0) return
    for (const slot of [...job.everySlot()]) {
      await untilKept(slot)
      const left = buckets.flatMap((bucket) => slot.kept.inBucket(bucket))
      await runInFlight(left, KEPT_CHANGES_IN_FLIGHT, (key) => this.#removeKept(job, { slot, ...key }))
    }
  }

  /** Removes what is kept of objects whose time was over. Where it rejects, the rest is left for the next time. */
  async removeExpired(job: JobSpace): Promise<void> {
    if (!job.keeps) return
    for (const slot of job.slots) {
      for (const key of slot?.kept.expired() ?? []) {
        try {
          await this.#options.turns.take(job, key, async (place) => {
            // Unless it was put anew meanwhile.
            if (this.#options.table.find(job, place) === undefined) await this.#removeKept(job, place)
          })
        } catch (error) {
          if (isError(error, 'STALE_PLACEMENT', 'JOB_ENDED')) return
          throw error
        }
      }
    }
  }

  /** Whether a mutation of the key has to do with the kept store: its object lies there, or is on its way there or away. */
  mayConcern(job: JobSpace, { bucket, key }: Address): boolean {
    if (!job.keeps) return false
    const slot = job.slots[slotOf(hashKey(key, bucket), job.owned.count)]
    if (slot === undefined || (slot.kept.empty && slot.keeping.size === 0)) return false
    return slot.kept.bucketOf({ bucket, key }) !== '' || this.#options.turns.isTaken(job, { bucket, key })
  }

  async #put(
    job: JobSpace,
    request: DataRequests['put'],
    payload: Buffer,
  ): Promise<Reply<DataReplies['put']>> {
    const { objects, table } = this.#options
    const bytes = payload.length
    const charge = table.chargeOf(request, { ...request, kind: Kind.value, bytes })
    return await holding(job, charge, (letGo) =>
      this.#options.turns.take(job, request, async (place) => {
        table.check(job, place, request)
        return await this.#keep(job, place, {
          request,
          bytes,
          pieces: onePiece(payload),
          store: () => {
            letGo()
            return { head: objects.put(job, request, payload) }
          },
        })
      }),
    )
  }

  async #commit(
    job: JobSpace,
    place: Place,
    request: DataRequests['putCommit'],
  ): Promise<Reply<DataReplies['putCommit']>> {
    const { chunks, largeObjects, table } = this.#options
    const { manifest, version } = request
    largeObjects.requireOpen(place.slot, version)
    table.check(job, place, request)
    if (this.#largePuts >= KEPT_LARGE_PUTS_MAX) {
      const what = `${KEPT_LARGE_PUTS_MAX} large objects are on their way from this node to the kept store`
      throw new MayflyError('UNAVAILABLE', what)
    }
    const { length: bytes } = encodeManifest(manifest)
    const charge = table.chargeOf(place, { ...request, kind: Kind.manifest, bytes, checksum: null })
    this.#largePuts++
    largeObjects.hold(place.slot, version)
    try {
      return await holding(job, charge, (letGo) =>
        this.#keep(job, place, {
          request,
          bytes: manifestBytes(manifest),
          pieces: chunks.read(job, request),
          store: () => {
            letGo()
            return { head: largeObjects.commit(job, request) }
          },
        }),
      )
    } finally {
      this.#largePuts--
      largeObjects.letGo(place.slot, version)
    }
  }

  async #consume(
    job: JobSpace,
    request: DataRequests['get'],
    waiter: Waiter | null,
  ): Promise<PinnedReply<DataReplies['get']>> {
    const { chunks, objects, table } = this.#options
    let lost: Lost | null = null
    for (let complete = ANY_VERSION; ; ) {
      const taken = await this.#options.turns.take(job, request, async (place): Promise<Taken> => {
        const object = table.find(job, place)
        // Who waits for the key does so outside of the turn, which its put needs.
        if (object === undefined)
          return { reply: objects.get(job, request, waiter, (again) => this.consume(job, again, waiter)) }
        const { version } = object
        if (lost?.version === version) throw lost.error
        if (place.slot.kept.bucketOf(place) === '' || !isTaken(job, object, request))
          return { reply: kept(await objects.get(job, request, null)) }
        return await this.#takeKept(job, place, { request, complete })
      })
      if (taken.reply !== null) return await taken.reply
      // Chunks that only the kept store has come to their nodes first, outside of the turn, in which they are read.
      const { version, manifest } = taken.incomplete
      try {
        for await (const chunk of chunks.read(job, { ...request, version, manifest })) void chunk
        complete = version
      } catch (error) {
        if (!isError(error, 'NOT_FOUND', 'OBJECT_LOST')) throw error
        // Unless the object has been replaced meanwhile.
        lost = { version, error: new MayflyError('OBJECT_LOST', error.reason) }
      }
    }
  }

  /** Reads an object, which may take its time, before it is removed in both places; not if it has chunks, unless those are `complete`. */
  async #takeKept(
    job: JobSpace,
    place: Place,
    { request, complete }: { request: DataRequests['get']; complete: number },
  ): Promise<Taken> {
    const { objects } = this.#options
    const reply = kept(await objects.get(job, { ...request, consume: false }, null))
    const { head } = reply
    if (head.kind === ObjectKind.manifest && head.version !== complete)
      return { reply: null, incomplete: head }
    try {
      await this.#removeKept(job, place)
      decided(job, () => objects.delete(job, request))
      return { reply: { ...reply, head: { ...head, consumed: true } } }
    } catch (error) {
      reply.sent?.()
      throw error
    }
  }

  /** Makes the kept store what it has to be once the put is done, then the slot. */
  async #keep<Head>(job: JobSpace, place: Place, put: Put<Head>): Promise<Reply<Head>> {
    await this.#replace(job, place, put)
    let reply: Reply<Head>
    try {
      reply = decided(job, put.store)
    } catch (error) {
      await this.#takeBack(job, place)
      throw error
    }
    return reply
  }

  async #replace(job: JobSpace, place: Place, { request, bytes, pieces }: Put<unknown>): Promise<void> {
    const { store, clock } = this.#options
    const { keptBucket, metadata, ttlSeconds } = request
    if (keptBucket === '') return await this.#removeKept(job, place)
    const expiresAtMs = ttlSeconds === 0 ? 0 : Math.round(clock.wallMs() + ttlSeconds * 1000)
    job.keeps = true
    const object = { bytes, expiresAtMs, about: encodeAbout({ bucketId: request.bucket, metadata }) }
    await store.put(keptName(job.id, place.key, keptBucket), object, fenced(job, place, pieces))
    // In the slot as it was, also where it is being given away: its next owner has to know.
    place.slot.kept.add(place, keptBucket)
  }

  /** A put that fails leaves nothing. Without a lease the key may have another owner by now, and its object is left alone. */
  async #takeBack(job: JobSpace, place: Place): Promise<void> {
    if (!job.hasLease) return
    try {
      await this.#removeKept(job, place)
    } catch (error) {
      if (!(error instanceof MayflyError)) throw error
    }
  }

  async #removeKept(job: JobSpace, at: Address & { readonly slot: Slot }): Promise<void> {
    const bucket = at.slot.kept.bucketOf(at)
    if (bucket === '') return
    await this.#options.store.remove(keptName(job.id, at.key, bucket), () => job.requireLease())
    at.slot.kept.remove(at)
  }
}

/** What is on its way to the kept store counts as in flight, and its room is there for the object once it is let go. */
async function holding<Result>(
  job: JobSpace,
  bytes: number,
  task: (letGo: () => void) => Promise<Result>,
): Promise<Result> {
  job.admit(bytes)
  let heldBytes = bytes
  job.charge(heldBytes)
  const letGo = (): void => {
    job.charge(-heldBytes)
    heldBytes = 0
  }
  try {
    return await task(letGo)
  } finally {
    letGo()
  }
}

/**
 * Changes the slot after the store was changed, for both have to say the same: also where the slot is being given away, which waits
 * for this, and where the node's lease lapsed meanwhile. Then nobody knows whether it counts.
 */
function decided<Result>(job: JobSpace, change: () => Result): Result {
  const result = job.decided(change)
  if (job.hasLease) return result
  throw new MayflyError('OUTCOME_UNKNOWN', 'The lease of the node lapsed while the kept store was changed')
}

/** Whether a consuming get takes the object: a part of it is only read. Throws what the get would. */
function isTaken(job: JobSpace, object: StoredObject, request: DataRequests['get']): boolean {
  checkVersion(object, request)
  if (isManifest(object)) return true
  const bytes = objectBytes(job.memory, object)
  return takesAll(request, { version: object.version, bytes }, pieceOf(request, bytes).bytes)
}

/** Fails before the store makes the bytes visible if the slot may not be served here any more. */
async function* fenced(job: JobSpace, at: Address, pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece
    locate(job, at)
  }
}
