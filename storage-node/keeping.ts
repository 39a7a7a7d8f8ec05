import { ANY_VERSION, type DataReplies, type DataRequests } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { hashKey, slotOf } from '../protocol/hash.ts'
import { runInFlight } from '../protocol/in-flight.ts'
import { chunksOf, manifestBytes } from '../protocol/manifest.ts'
import type { Clock } from '../protocol/runtime.ts'
import { KEPT_CHANGES_IN_FLIGHT, KEPT_LARGE_PUTS_MAX } from '../service/kept/kept-limits.ts'
import type { KeptName, KeptStore } from '../service/kept/kept-store.ts'
import { onePiece } from '../service/one-piece.ts'
import type { Reply, Waiter } from '../service/responder.ts'
import type { ChunkSource } from './chunk-source.ts'
import type { JobSpace } from './job-space.ts'
import { encodeAbout } from './kept-about.ts'
import { keyString } from './key-string.ts'
import type { LargeObjects } from './large-objects.ts'
import type { ObjectTable } from './object-table.ts'
import { checkVersion, type Objects, takesAll } from './objects.ts'
import { pieceOf } from './piece.ts'
import { kept, type PinnedReply } from './pinned-reply.ts'
import { type Address, type ChunkName, locate, type Place } from './place.ts'
import type { Slot } from './slot.ts'
import { isManifest, manifestOf, objectBytes, type StoredObject } from './stored-object.ts'
import { Turns } from './turns.ts'

interface KeepingOptions {
  readonly table: ObjectTable
  readonly objects: Objects
  readonly largeObjects: LargeObjects
  readonly chunks: ChunkSource
  readonly store: KeptStore
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

/**
 * Mutations of keys whose object outlives its job. The kept store is changed first, then the slot, then the call is answered; all
 * that is done to such a key meanwhile waits its turn, so that both see the same order. Any other mutation goes straight on.
 */
export class Keeping {
  readonly #options: KeepingOptions
  readonly #turns = new Turns()
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
    if (request.keptBucket === '' && !this.mayConcern(job, request))
      return { head: this.#options.largeObjects.commit(job, request) }
    return this.#inTurn(job, request, (place) => this.#commit(job, place, request))
  }

  delete(job: JobSpace, request: DataRequests['delete']): Answer<'delete'> {
    const { objects } = this.#options
    if (!this.mayConcern(job, request)) return { head: objects.delete(job, request) }
    return this.#inTurn(job, request, async (place) => {
      await this.#removeKept(job, place)
      return { head: objects.delete(job, request) }
    })
  }

  /** A get that removes what it returns. */
  consume(job: JobSpace, request: DataRequests['get'], waiter: Waiter | null): Answer<'get'> {
    if (!this.mayConcern(job, request)) return this.#options.objects.get(job, request, waiter)
    return this.#consume(job, { ...request, key: Buffer.from(request.key) }, waiter)
  }

  /** Throws `BAD_REQUEST` for an object that outlives its job: the kept store adds to none. */
  append(job: JobSpace, request: DataRequests['append'], payload: Uint8Array): Answer<'append'> {
    const { objects, table } = this.#options
    if (!this.mayConcern(job, request)) return objects.append(job, request, payload)
    const own = Buffer.from(payload)
    return this.#inTurn(job, request, async (place) => {
      if (place.slot.kept.bucketOf(place) !== '' && table.find(job, place) !== undefined) {
        const what = 'key: its object was put with persist, and append adds to no such object'
        throw new MayflyError('BAD_REQUEST', what)
      }
      await this.#removeKept(job, place)
      return await objects.append(job, request, own)
    })
  }

  /**
   * A chunk of an object that is kept, for the node that has lost it or, where the object has come back, never had it. Null where the
   * key has no such version, or it is not kept. In its turn, for the store has the next version before the slot has.
   */
  async readChunk(job: JobSpace, chunk: ChunkName): Promise<Buffer | null> {
    const own = { ...chunk, key: Buffer.from(chunk.key) }
    // A version that is being put waits for its chunks in its turn.
    if (this.#keptChunk(job, locate(job, own), own) === null) return null
    return await this.#inTurn(job, own, async (place) => {
      const found = this.#keptChunk(job, place, own)
      if (found === null) return null
      const { bucket, offset, length } = found
      const bytes = await this.#options.store.get(nameOf(job, place, bucket), { offset, length })
      return bytes.length === length ? bytes : null
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

  /** Removes what is kept of objects whose time was over. What cannot be removed now is left for the next time. */
  async removeExpired(job: JobSpace): Promise<void> {
    if (!job.keeps) return
    for (const slot of job.slots) {
      for (const key of slot?.kept.expired() ?? []) {
        try {
          await this.#inTurn(job, key, async (place) => {
            // Unless it was put anew meanwhile.
            if (this.#options.table.find(job, place) === undefined) await this.#removeKept(job, place)
          })
        } catch (error) {
          if (!(error instanceof MayflyError) || error.code === 'INTERNAL') throw error
          return
        }
      }
    }
  }

  /** Whether a mutation of the key has to do with the kept store: its object lies there, or is on its way there or away. */
  mayConcern(job: JobSpace, { bucket, key }: Address): boolean {
    if (!job.keeps) return false
    const slot = job.slots[slotOf(hashKey(key, bucket), job.slots.length)]
    if (slot === undefined || (slot.kept.empty && slot.keeping.size === 0)) return false
    return slot.kept.bucketOf({ bucket, key }) !== '' || this.#turns.isTaken(turnOf(job, { bucket, key }))
  }

  /** What is on its way to the kept store counts as in flight, and its room is there for the object afterwards. */
  async #put(
    job: JobSpace,
    request: DataRequests['put'],
    payload: Buffer,
  ): Promise<Reply<DataReplies['put']>> {
    const { objects, table } = this.#options
    job.admit(payload.length)
    let heldBytes = payload.length
    job.charge(heldBytes)
    const letGo = (): void => {
      job.charge(-heldBytes)
      heldBytes = 0
    }
    try {
      return await this.#inTurn(job, request, async (place) => {
        table.check(job, place, request)
        return await this.#keep(job, place, {
          request,
          bytes: payload.length,
          pieces: onePiece(payload),
          store: () => {
            letGo()
            return { head: objects.put(job, request, payload) }
          },
        })
      })
    } finally {
      letGo()
    }
  }

  async #commit(
    job: JobSpace,
    place: Place,
    request: DataRequests['putCommit'],
  ): Promise<Reply<DataReplies['putCommit']>> {
    const { chunks, largeObjects, table } = this.#options
    largeObjects.requireOpen(place.slot, request.version)
    table.check(job, place, request)
    if (this.#largePuts >= KEPT_LARGE_PUTS_MAX) {
      const what = `${KEPT_LARGE_PUTS_MAX} large objects are on their way from this node to the kept store`
      throw new MayflyError('UNAVAILABLE', what)
    }
    this.#largePuts++
    try {
      return await this.#keep(job, place, {
        request,
        bytes: manifestBytes(request.manifest),
        pieces: chunks.read(job, request),
        store: () => ({ head: largeObjects.commit(job, request) }),
      })
    } finally {
      this.#largePuts--
    }
  }

  async #consume(
    job: JobSpace,
    request: DataRequests['get'],
    waiter: Waiter | null,
  ): Promise<PinnedReply<DataReplies['get']>> {
    const { chunks, objects, table } = this.#options
    for (let complete = ANY_VERSION; ; ) {
      const { reply, incomplete } = await this.#inTurn(job, request, async (place) => {
        const object = table.find(job, place)
        // Who waits for the key does so outside of the turn, which its put needs.
        if (object === undefined) return { reply: objects.get(job, request, waiter) }
        if (isTaken(job, object, request)) {
          const { version } = object
          if (isManifest(object) && version !== complete && place.slot.kept.bucketOf(place) !== '')
            return { incomplete: { version, manifest: manifestOf(job.memory, object) } }
          await this.#removeKept(job, place)
        }
        return { reply: kept(await objects.get(job, request, null)) }
      })
      if (reply !== undefined) return await reply
      // Chunks that only the kept store has come to their nodes first, outside of the turn, in which they are read.
      for await (const chunk of chunks.read(job, { ...request, ...incomplete })) void chunk
      complete = incomplete.version
    }
  }

  #keptChunk(
    job: JobSpace,
    place: Place,
    { version, index }: ChunkName,
  ): { bucket: string; offset: number; length: number } | null {
    const bucket = place.slot.kept.bucketOf(place)
    const object = this.#options.table.find(job, place)
    if (bucket === '' || object?.version !== version) return null
    for (const chunk of chunksOf(manifestOf(job.memory, object)))
      if (chunk.index === index) return { bucket, offset: chunk.offset, length: chunk.bytes }
    return null
  }

  /** Makes the kept store what it has to be once the put is done, then the slot. */
  async #keep<Head>(job: JobSpace, place: Place, put: Put<Head>): Promise<Reply<Head>> {
    const wasKept = place.slot.kept.bucketOf(place) !== ''
    await this.#replace(job, place, put)
    let reply: Reply<Head>
    try {
      reply = put.store()
    } catch (error) {
      if (!wasKept) await this.#takeBack(job, place)
      throw error
    }
    await this.#followConsumer(job, place)
    return reply
  }

  async #replace(job: JobSpace, place: Place, { request, bytes, pieces }: Put<unknown>): Promise<void> {
    const { store, clock } = this.#options
    const { keptBucket, metadata, ttlSeconds } = request
    if (keptBucket === '') return await this.#removeKept(job, place)
    const expiresAtMs = ttlSeconds === 0 ? 0 : Math.round(clock.wallMs() + ttlSeconds * 1000)
    job.keeps = true
    const object = { bytes, expiresAtMs, about: encodeAbout({ bucketId: request.bucket, metadata }) }
    await store.put(nameOf(job, place, keptBucket), object, fenced(job, place, pieces))
    // In the slot as it was, also where it is being given away: its next owner has to know.
    place.slot.kept.add(place, keptBucket)
  }

  /** A consumer that waited for the key has taken the object along, which then is not kept either. */
  async #followConsumer(job: JobSpace, place: Place): Promise<void> {
    if (this.#options.table.find(job, place) !== undefined) return
    try {
      await this.#removeKept(job, place)
    } catch (cause) {
      const what = 'The object was put and consumed at once, but could not be removed from the kept store'
      throw new MayflyError('OUTCOME_UNKNOWN', what, { cause })
    }
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
    await this.#options.store.remove(nameOf(job, at, bucket))
    at.slot.kept.remove(at)
  }

  /** A slot that is given away waits for all that has begun here, so that nothing of it comes after what the next owner does. */
  async #inTurn<Result>(
    job: JobSpace,
    address: Address,
    task: (place: Place) => Promise<Result>,
  ): Promise<Result> {
    const place = locate(job, address)
    job.keeps = true
    const running = this.#turns.take(turnOf(job, place), () => task(locate(job, address)))
    const { keeping } = place.slot
    keeping.add(running)
    try {
      return await running
    } finally {
      keeping.delete(running)
    }
  }
}

/** Resolves when nothing that was begun in the slot is under way. */
export async function untilKept(slot: Slot): Promise<void> {
  if (slot.keeping.size > 0) await Promise.allSettled(slot.keeping)
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

function nameOf(job: JobSpace, { key }: Address, bucket: string): KeptName {
  return { job: job.id, bucket, key: Buffer.from(key).toString() }
}

function turnOf(job: JobSpace, { bucket, key }: Address): string {
  return `${job.id}/${bucket}/${keyString(key)}`
}
