import { type dataOperations, ObjectKind, PutCondition, tiers } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { hashKey, slotOf } from '../protocol/hash.ts'
import { checkKey } from '../protocol/keys.ts'
import { METADATA_BYTES_MAX, READ_LEASE_MS, TTL_SECONDS_MAX } from '../protocol/limits.ts'
import type { ReplyOf, RequestOf } from '../protocol/operation.ts'
import { violation } from '../protocol/reader.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { JobSpace } from './job-space.ts'
import {
  type KeyString,
  type Metadata,
  objectBytes,
  objectCharge,
  type Slot,
  type StoredObject,
} from './slot.ts'

type Requests = { [Name in keyof typeof dataOperations]: RequestOf<(typeof dataOperations)[Name]> }
type Replies = { [Name in keyof typeof dataOperations]: ReplyOf<(typeof dataOperations)[Name]> }

interface Address {
  readonly bucket: number
  readonly key: Uint8Array
}

/** Where a key lies in a job: its slot, which this node owns, and its name there. */
export interface Place {
  readonly slot: Slot
  readonly bucket: number
  readonly key: KeyString
}

/** Put, get, stat and delete of one key: each is decided in one step of the event loop. */
export class Objects {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `payload` is kept as it is: the caller gives its memory away. */
  put(job: JobSpace, request: Requests['put'], payload: Buffer): Replies['put'] {
    const place = locate(job, request)
    this.checkCondition(job, place, request.condition)
    return this.store(job, place, { ...request, content: payload, version: place.slot.nextVersion() })
  }

  get(job: JobSpace, request: Requests['get']): { head: Replies['get']; payload?: Buffer } {
    const place = locate(job, request)
    const object = this.#present(job, place)
    if (request.consume) this.remove(job, place, object)
    const { version, content } = object
    job.movedBytes += Buffer.isBuffer(content) ? content.length : 0
    if (Buffer.isBuffer(content))
      return { head: { version, kind: ObjectKind.value, manifest: [] }, payload: content }
    place.slot.readLeases.set(version, this.#clock.monotonicMs() + READ_LEASE_MS)
    return { head: { version, kind: ObjectKind.manifest, manifest: content } }
  }

  stat(job: JobSpace, request: Requests['stat']): Replies['stat'] {
    const object = this.#present(job, locate(job, request))
    const { version, expiresAtMs, metadata } = object
    return { bytes: objectBytes(object), version, tier: tiers.indexOf('ram'), expiresAtMs, metadata }
  }

  delete(job: JobSpace, request: Requests['delete']): Replies['delete'] {
    const place = locate(job, request)
    const object = this.find(job, place)
    if (object !== undefined) this.remove(job, place, object)
    return { existed: object !== undefined }
  }

  /** The object, unless its time is over: then it is removed on the way. */
  find(job: JobSpace, place: Place): StoredObject | undefined {
    const object = place.slot.find(place.bucket, place.key)
    if (object === undefined || !isExpired(object, this.#clock.wallMs())) return object
    this.remove(job, place, object)
    return undefined
  }

  checkCondition(job: JobSpace, place: Place, condition: number): void {
    if (condition === PutCondition.always) return
    if (condition !== PutCondition.absent) throw violation(`a put has the unknown condition ${condition}`)
    if (this.find(job, place) !== undefined)
      throw new MayflyError('KEY_EXISTS', 'An object is under this key')
  }

  /** Makes the object visible in the place of what was there, or changes nothing and throws. */
  store(
    job: JobSpace,
    place: Place,
    request: Pick<StoredObject, 'version' | 'content'> & { ttlSeconds: number; metadata: Metadata },
  ): { version: number } {
    const { version, content, metadata } = request
    checkMetadata(metadata)
    const object = { version, content, metadata, expiresAtMs: this.#expiry(request.ttlSeconds) }
    const before = place.slot.find(place.bucket, place.key)
    const keyBytes = place.key.length
    const change =
      objectCharge(keyBytes, object) - (before === undefined ? 0 : objectCharge(keyBytes, before))
    job.admit(change)
    job.charge(change)
    if (before === undefined) job.objects++
    place.slot.set(place.bucket, place.key, object)
    return { version }
  }

  remove(job: JobSpace, { slot, bucket, key }: Place, object: StoredObject): void {
    slot.remove(bucket, key)
    job.charge(-objectCharge(key.length, object))
    job.objects--
  }

  #present(job: JobSpace, place: Place): StoredObject {
    const object = this.find(job, place)
    if (object === undefined) throw place.slot.missing()
    return object
  }

  #expiry(ttlSeconds: number): number {
    if (ttlSeconds > TTL_SECONDS_MAX) {
      throw new MayflyError('BAD_REQUEST', `ttlSeconds: ${ttlSeconds} is over ${TTL_SECONDS_MAX}`)
    }
    return ttlSeconds === 0 ? 0 : Math.round(this.#clock.wallMs() + ttlSeconds * 1000)
  }
}

/** Checks a key and finds its slot. Throws `STALE_PLACEMENT` if this node does not own it. */
export function locate(job: JobSpace, { bucket, key }: Address): Place {
  checkKey(key)
  const slot = job.ownedSlot(slotOf(hashKey(key, bucket), job.slots.length))
  if (job.droppedBuckets.has(bucket)) throw new MayflyError('BUCKET_NOT_FOUND', 'The bucket was deleted')
  return { slot, bucket, key: keyString(key) }
}

export function keyString(key: Uint8Array): KeyString {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

export function isExpired(object: StoredObject, wallMs: number): boolean {
  return object.expiresAtMs !== 0 && object.expiresAtMs <= wallMs
}

function checkMetadata(metadata: Metadata): void {
  let bytes = 0
  for (const { name, value } of metadata) bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  if (bytes > METADATA_BYTES_MAX) {
    throw new MayflyError('BAD_REQUEST', `metadata: ${bytes} bytes are over ${METADATA_BYTES_MAX}`)
  }
}
