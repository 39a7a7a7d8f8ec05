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
import { DELETE_MANY_MAX, PAYLOAD_BYTES_MAX, READ_LEASE_MS, WAIT_SECONDS_MAX } from '../protocol/limits.ts'
import { violation } from '../protocol/reader.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Peer, Reply } from '../service/responder.ts'
import { Appended, type Content, contentBytes, isManifest, Remote } from './content.ts'
import type { JobSpace } from './job-space.ts'
import type { ObjectTable } from './object-table.ts'
import { locate, type Place } from './place.ts'
import type { StoredObject } from './slot.ts'
import { park } from './waits.ts'

type Get = Reply<DataReplies['get']>

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

  /** `payload` is kept as it is: the caller gives its memory away. */
  put(job: JobSpace, request: DataRequests['put'], payload: Buffer): DataReplies['put'] {
    const place = locate(job, request)
    this.#table.check(job, place, request)
    const version = place.slot.nextVersion()
    this.#table.store(job, place, { ...request, content: payload, version })
    return { version }
  }

  get(job: JobSpace, request: DataRequests['get'], peer: Peer): Get | Promise<Get> {
    const place = locate(job, request)
    const object = this.#table.find(job, place)
    if (object === undefined) return this.#await(job, request, peer)
    if (object.content instanceof Remote) {
      return this.#fetch(job, place, object).then(() => this.get(job, request, peer))
    }
    return this.#read(job, place, object, request)
  }

  stat(job: JobSpace, request: DataRequests['stat']): DataReplies['stat'] {
    const { version, expiresAtMs, metadata, content } = this.#present(job, locate(job, request))
    return { bytes: contentBytes(content), version, tier: tiers.indexOf('ram'), expiresAtMs, metadata }
  }

  delete(job: JobSpace, request: DataRequests['delete']): DataReplies['delete'] {
    const place = locate(job, request)
    const object = this.#table.find(job, place)
    if (object !== undefined) this.#table.remove(job, place, object)
    return { existed: object !== undefined }
  }

  deleteMany(job: JobSpace, request: DataRequests['deleteMany']): DataReplies['deleteMany'] {
    if (request.keys.length > DELETE_MANY_MAX)
      throw violation(`a request deletes more than ${DELETE_MANY_MAX} keys`)
    // Before the first is deleted: a request that fails has changed nothing.
    for (const key of request.keys) checkKey(key)
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
    payload: Buffer,
  ): Reply<DataReplies['append']> | Promise<Reply<DataReplies['append']>> {
    const place = locate(job, request)
    const object = this.#table.find(job, place)
    if (object?.content instanceof Remote) {
      return this.#fetch(job, place, object).then(() => this.append(job, request, payload))
    }
    const content = growing(object?.content)
    const version = place.slot.nextVersion()
    const base = object?.base ?? version
    const metadata = object?.metadata ?? []
    const expiresAtMs = object?.expiresAtMs ?? 0
    this.#table.grow(job, place, {
      before: object,
      payload,
      after: { version, base, content, metadata, expiresAtMs },
    })
    return { head: { bytes: content.bytes, version } }
  }

  #read(job: JobSpace, place: Place, object: StoredObject, request: DataRequests['get']): Get {
    const { content, version } = object
    checkVersion(object, request)
    if (isManifest(content)) {
      if (request.consume) this.#table.remove(job, place, object)
      place.slot.readLeases.set(version, this.#clock.monotonicMs() + READ_LEASE_MS)
      const bytes = contentBytes(content)
      return {
        head: { version, kind: ObjectKind.manifest, bytes, consumed: request.consume, manifest: content },
      }
    }
    const bytes = contentBytes(content)
    const payload = piece(content, request.offset)
    const whole = request.version === version || payload.length === bytes
    const consumed = request.consume && whole
    if (consumed) this.#table.remove(job, place, object)
    job.movedBytes += payload.length
    return { head: { version, kind: ObjectKind.value, bytes, consumed, manifest: [] }, payload }
  }

  /** The key is not here: a get without `waitMs` is a miss, any other is parked until a put answers it. */
  #await(job: JobSpace, request: DataRequests['get'], peer: Peer): Promise<Get> {
    const place = locate(job, request)
    if (request.waitMs === 0) throw place.slot.missing(place.bucket, place.key)
    const waitMs = Math.min(request.waitMs, WAIT_SECONDS_MAX * 1000)
    return park(
      place,
      { waitMs, clock: this.#clock, peer },
      {
        attempt: () => {
          const object = this.#table.find(job, place)
          return object === undefined ? null : this.#read(job, place, object, request)
        },
        missed: () => this.#miss(job, place),
      },
    )
  }

  /** Only who may still serve the slot can say that a key is not there. */
  #miss(job: JobSpace, { index, bucket, key }: Place): MayflyError {
    try {
      return job.ownedSlot(index).missing(bucket, key)
    } catch (error) {
      return asMayflyError(error)
    }
  }

  #present(job: JobSpace, place: Place): StoredObject {
    const object = this.#table.find(job, place)
    if (object === undefined) throw place.slot.missing(place.bucket, place.key)
    return object
  }
}

/** A reader of several pieces goes on as long as appends alone have changed the object since. */
function checkVersion(object: StoredObject, { version, consume }: DataRequests['get']): void {
  if (version === ANY_VERSION || version === object.version) return
  if (!consume && object.base <= version && version < object.version) return
  throw new MayflyError('VERSION_MISMATCH', `The key is at version ${object.version}, not ${version}`)
}

function piece(content: Content, offset: number): Buffer {
  const length = contentBytes(content)
  if (offset > length)
    throw new MayflyError('BAD_REQUEST', `offset: ${offset} is past the object's ${length} bytes`)
  if (content instanceof Appended) return content.slice(offset, PAYLOAD_BYTES_MAX)
  if (Buffer.isBuffer(content)) return content.subarray(offset, offset + PAYLOAD_BYTES_MAX)
  throw new Error('Only values have bytes at their owner')
}

/** What an append adds to: the object as it is, in a form that can grow. */
function growing(content: Content | undefined): Appended {
  if (content instanceof Appended) return content
  const grown = new Appended()
  if (Buffer.isBuffer(content)) grown.append(content)
  else if (content !== undefined) {
    throw new MayflyError(
      'BAD_REQUEST',
      'key: its object was put in chunks, and append adds only to objects in one piece',
    )
  }
  return grown
}
