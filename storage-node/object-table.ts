import { PutCondition } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { METADATA_BYTES_MAX, TTL_SECONDS_MAX } from '../protocol/limits.ts'
import { violation } from '../protocol/reader.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Appended, Content } from './content.ts'
import type { JobSpace } from './job-space.ts'
import type { Place } from './place.ts'
import { type Metadata, objectCharge, type StoredObject } from './slot.ts'
import { answerWaits } from './waits.ts'

/** Changes of a slot's objects, with what they cost: each is made whole or throws with nothing changed. */
export class ObjectTable {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The object, unless its time is over: then it is removed on the way. */
  find(job: JobSpace, place: Place): StoredObject | undefined {
    const object = place.slot.find(place.bucket, place.key)
    if (object === undefined || !isExpired(object, this.#clock.wallMs())) return object
    this.remove(job, place, object)
    return undefined
  }

  /** Throws `KEY_EXISTS` or `VERSION_MISMATCH` if the put's condition does not hold. */
  check(job: JobSpace, place: Place, put: { condition: number; ifVersion: number }): void {
    if (put.condition === PutCondition.always) return
    const object = this.find(job, place)
    if (put.condition === PutCondition.absent) {
      if (object !== undefined) throw new MayflyError('KEY_EXISTS', 'An object is under this key')
    } else if (put.condition === PutCondition.version) {
      if (object === undefined) throw place.slot.missing(place.bucket, place.key)
      if (object.version !== put.ifVersion) {
        throw new MayflyError(
          'VERSION_MISMATCH',
          `The key is at version ${object.version}, not ${put.ifVersion}`,
        )
      }
    } else throw violation(`a put has the unknown condition ${put.condition}`)
  }

  /** Makes an object visible in the place of what was there. Throws `CAPACITY_EXCEEDED` or `BAD_REQUEST`. */
  store(
    job: JobSpace,
    place: Place,
    put: { version: number; content: Content; ttlSeconds: number; metadata: Metadata },
  ): void {
    const { version, content, metadata } = put
    checkMetadata(metadata)
    const object = { version, base: version, content, metadata, expiresAtMs: this.#expiry(put.ttlSeconds) }
    const before = place.slot.find(place.bucket, place.key)
    const change = chargeOf(place, object) - (before === undefined ? 0 : chargeOf(place, before))
    job.admit(change)
    this.#set(job, place, { before, object, change })
  }

  /** Adds to an object that can grow. `after.content` is the one that grows. */
  grow(
    job: JobSpace,
    place: Place,
    append: {
      before: StoredObject | undefined
      payload: Buffer
      after: StoredObject & { content: Appended }
    },
  ): void {
    const { before, payload, after } = append
    const { content } = after
    const cost = chargeOf(place, after) - content.capacityBytes + content.capacityWith(payload.length)
    const change = cost - (before === undefined ? 0 : chargeOf(place, before))
    job.admit(change)
    content.append(payload)
    this.#set(job, place, { before, object: after, change })
  }

  remove(job: JobSpace, { slot, bucket, key }: Omit<Place, 'index'>, object: StoredObject): void {
    slot.remove(bucket, key)
    job.charge(-objectCharge(key.length, object))
    job.objects--
  }

  #set(
    job: JobSpace,
    place: Place,
    put: { before: StoredObject | undefined; object: StoredObject; change: number },
  ): void {
    job.charge(put.change)
    if (put.before === undefined) job.objects++
    place.slot.set(place.bucket, place.key, put.object)
    answerWaits(place)
  }

  #expiry(ttlSeconds: number): number {
    if (ttlSeconds > TTL_SECONDS_MAX) {
      throw new MayflyError('BAD_REQUEST', `ttlSeconds: ${ttlSeconds} is over ${TTL_SECONDS_MAX}`)
    }
    return ttlSeconds === 0 ? 0 : Math.round(this.#clock.wallMs() + ttlSeconds * 1000)
  }
}

export function isExpired(object: StoredObject, wallMs: number): boolean {
  return object.expiresAtMs !== 0 && object.expiresAtMs <= wallMs
}

function chargeOf({ key }: Place, object: StoredObject): number {
  return objectCharge(key.length, object)
}

function checkMetadata(metadata: Metadata): void {
  let bytes = 0
  for (const { name, value } of metadata) bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  if (bytes > METADATA_BYTES_MAX) {
    throw new MayflyError('BAD_REQUEST', `metadata: ${bytes} bytes are over ${METADATA_BYTES_MAX}`)
  }
}
