import { crc32 } from 'node:zlib'
import {
  ANY_VERSION,
  type DataReplies,
  type DataRequests,
  DeleteResult,
  ObjectKind,
  tiers,
} from '../protocol/data-operations.ts'
import { asMayflyError, isError, MayflyError } from '../protocol/errors.ts'
import { checkKey } from '../protocol/keys.ts'
import { DELETE_MANY_MAX, READ_LEASE_MS, WAIT_SECONDS_MAX } from '../protocol/limits.ts'
import { violation } from '../protocol/reader.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Reply, Waiter } from '../service/responder.ts'
import type { JobSpace } from './job-space.ts'
import type { ObjectTable } from './object-table.ts'
import { pieceOf } from './piece.ts'
import { kept, type PinnedReply, pinnedReply } from './pinned-reply.ts'
import { locate, type Place } from './place.ts'
import { Kind } from './ram/record.ts'
import {
  isManifest,
  isRemote,
  manifestOf,
  metadataOf,
  objectBytes,
  readObject,
  type StoredObject,
} from './stored-object.ts'
import { park } from './waits.ts'

type Get = PinnedReply<DataReplies['get']>

/** Brings the bytes of a remote entry here; resolves when they are, or are known to be lost. */
export type Fetch = (job: JobSpace, place: Place, object: StoredObject) => Promise<void>

/**
 * What may be done with one key. Each operation is decided in one step of the event loop; one that needs bytes
 * which a handoff has not brought yet waits for them and then begins anew.
 */
export class Objects {
  readonly #table: ObjectTable
  readonly #clock: Clock
  readonly #fetch: Fetch

  constructor(table: ObjectTable, options: { clock: Clock; fetch: Fetch }) {
    this.#table = table
    this.#clock = options.clock
    this.#fetch = options.fetch
  }

  /** `payload` is copied, but for one that landed in the job's memory. */
  put(job: JobSpace, request: DataRequests['put'], payload: Uint8Array): DataReplies['put'] {
    const place = locate(job, request)
    this.#table.check(job, place, request)
    const version = place.slot.nextVersion()
    // Written out: spreading the request costs more than storing the object.
    this.#table.store(job, place, {
      version,
      kind: Kind.value,
      content: payload,
      ttlSeconds: request.ttlSeconds,
      metadata: request.metadata,
      checksum: request.checksum,
    })
    return { version }
  }

  get(job: JobSpace, request: DataRequests['get'], waiter: Waiter | null): Get | Promise<Get> {
    return this.#get(job, request, { waiter, later: false })
  }

  #get(
    job: JobSpace,
    request: DataRequests['get'],
    to: { waiter: Waiter | null; later: boolean },
  ): Get | Promise<Get> {
    const place = locate(job, request)
    const object = this.#table.find(job, place)
    if (object === undefined) return this.#await(job, keep(request), to.waiter)
    if (isRemote(object)) {
      const kept = keep(request)
      return this.#fetch(job, { ...place, key: kept.key }, object).then(() =>
        this.#get(job, kept, { ...to, later: true }),
      )
    }
    return this.#read(job, place, object, { request, later: to.later })
  }

  stat(job: JobSpace, request: DataRequests['stat']): DataReplies['stat'] {
    const place = locate(job, request)
    const object = this.#present(job, place)
    const { version, expiresAtMs } = object
    const bytes = objectBytes(job.memory, object)
    const persist = place.slot.kept.bucketOf(place) !== ''
    const tier = tiers.indexOf('ram')
    return { bytes, version, tier, expiresAtMs, metadata: metadataOf(object), persist }
  }

  delete(job: JobSpace, request: DataRequests['delete']): DataReplies['delete'] {
    const place = locate(job, request)
    const object = this.#table.find(job, place)
    if (object !== undefined) this.#table.remove(job, place, object)
    return { existed: object !== undefined }
  }

  deleteMany(job: JobSpace, request: DataRequests['deleteMany']): DataReplies['deleteMany'] {
    checkKeys(request.keys)
    const results = request.keys.map((key) => {
      try {
        const { existed } = this.delete(job, { ...request, key })
        return existed ? DeleteResult.deleted : DeleteResult.absent
      } catch (error) {
        if (isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE')) return DeleteResult.stale
        throw error
      }
    })
    return { results: Uint8Array.from(results) }
  }

  append(
    job: JobSpace,
    request: DataRequests['append'],
    payload: Uint8Array,
  ): Reply<DataReplies['append']> | Promise<Reply<DataReplies['append']>> {
    const place = locate(job, request)
    const object = this.#table.find(job, place)
    if (object !== undefined && isRemote(object)) {
      const kept = Buffer.from(payload)
      return this.#fetch(job, place, object).then(() => this.append(job, request, kept))
    }
    const checksum = appendedChecksum(object, request.checksum, payload)
    const version = place.slot.nextVersion()
    const bytes = this.#table.grow(job, place, { version, payload, checksum })
    return { head: { bytes, version } }
  }

  /** `later` says that the reply is not sent at once, so that its payload has to be kept until then. */
  #read(
    job: JobSpace,
    place: Place,
    object: StoredObject,
    { request, later }: { request: DataRequests['get']; later: boolean },
  ): Get {
    const { version, checksum } = object
    checkVersion(object, request)
    const bytes = objectBytes(job.memory, object)
    if (isManifest(object)) {
      const manifest = manifestOf(job.memory, object)
      if (request.consume) this.#table.remove(job, place, object)
      place.slot.readLeases.set(version, this.#clock.monotonicMs() + READ_LEASE_MS)
      const { consume: consumed } = request
      return { head: { version, kind: ObjectKind.manifest, bytes, checksum, consumed, manifest } }
    }
    const part = pieceOf(request, bytes)
    const consumed = request.consume && (request.version === version || part.bytes === bytes)
    const head = { version, kind: ObjectKind.value, bytes, checksum, consumed, manifest: [] }
    const piece = readObject(job.memory, object, part)
    const reply = pinnedReply(head, job.memory, piece)
    job.movedBytes += part.bytes
    if (!consumed) return later ? kept(reply) : reply
    const last = kept(reply)
    this.#table.remove(job, place, object)
    return last
  }

  /** The key is not here: a get without `waitMs` is a miss, any other is parked until a put answers it. */
  #await(job: JobSpace, request: DataRequests['get'], waiter: Waiter | null): Promise<Get> {
    const place = locate(job, request)
    if (waiter === null || request.waitMs === 0) throw place.slot.missing(place)
    const waitMs = Math.min(request.waitMs, WAIT_SECONDS_MAX * 1000)
    return park(
      place,
      { waitMs, clock: this.#clock, waiter },
      {
        attempt: () => {
          const object = this.#table.find(job, place)
          return object === undefined ? null : this.#read(job, place, object, { request, later: true })
        },
        missed: () => this.#miss(job, place),
      },
    )
  }

  /** Only who may still serve the slot can say that a key is not there. */
  #miss(job: JobSpace, place: Place): MayflyError {
    try {
      return job.ownedSlot(place.index).missing(place)
    } catch (error) {
      return asMayflyError(error)
    }
  }

  #present(job: JobSpace, place: Place): StoredObject {
    const object = this.#table.find(job, place)
    if (object === undefined) throw place.slot.missing(place)
    return object
  }
}

/** Before the first of them is deleted: a request that fails has changed nothing. Throws `BAD_REQUEST`. */
export function checkKeys(keys: readonly Uint8Array[]): void {
  if (keys.length > DELETE_MANY_MAX) throw violation(`a request deletes more than ${DELETE_MANY_MAX} keys`)
  for (const key of keys) checkKey(key)
}

/** A request that outlives its message. */
function keep(request: DataRequests['get']): DataRequests['get'] {
  return { ...request, key: Buffer.from(request.key) }
}

/** A reader of several pieces goes on as long as appends alone have changed the object since. Throws `VERSION_MISMATCH`. */
export function checkVersion(object: StoredObject, { version, consume }: DataRequests['get']): void {
  if (version === ANY_VERSION || version === object.version) return
  if (!consume && object.base <= version && version < object.version) return
  throw new MayflyError('VERSION_MISMATCH', `The key is at version ${object.version}, not ${version}`)
}

/** The checksum of an object with `payload` behind it; null unless the writers of both made one. */
function appendedChecksum(
  before: StoredObject | undefined,
  checksum: number | null,
  payload: Uint8Array,
): number | null {
  if (checksum === null) return null
  if (crc32(payload) !== checksum)
    throw new MayflyError('CHECKSUM_MISMATCH', 'The bytes to append were damaged on their way')
  if (before === undefined) return checksum
  return before.checksum === null ? null : crc32(payload, before.checksum)
}
