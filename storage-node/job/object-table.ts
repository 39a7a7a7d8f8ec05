import { MayflyError } from '../../protocol/errors.ts'
import { PAYLOAD_COPIED_BYTES_MAX, TTL_SECONDS_MAX } from '../../protocol/limits.ts'
import { PutCondition } from '../../protocol/operations/data-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { violation } from '../../protocol/wire/reader.ts'
import { bytesApart, chargeOf, Kind } from '../memory/record.ts'
import { planAppend } from '../slot/append-plan.ts'
import type { PlainValue } from '../slot/plain-value.ts'
import type { NewObject } from '../slot/slot-objects.ts'
import { isExpired, objectCharge, type StoredObject } from '../slot/stored-object.ts'
import { encodeNewMetadata, type UserMetadata } from '../slot/user-metadata.ts'
import { type At, waitsOf } from '../slot/waits.ts'
import { endingOf, freeEnded } from './ended-chunks.ts'
import type { NodeJob } from './job.ts'
import { type KeyLocation, locatePlain } from './locate.ts'

/** Changes of a slot's objects and their charges. Each change is atomic: it throws with nothing changed. */
export class ObjectTable {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The object under the key. An expired one is removed and not returned. */
  find(job: NodeJob, place: KeyLocation): StoredObject | undefined {
    const object = place.slot.find(place)
    // Skips the clock for objects without expiry, which most are.
    if (object === undefined || object.expiresAtMs === 0) return object
    if (!isExpired(object, this.#clock.wallMs())) return object
    this.remove(job, place, object)
    place.slot.persisted.markExpired(place)
    return undefined
  }

  /** Throws `KEY_EXISTS` or `VERSION_MISMATCH` if the put's condition does not hold. */
  check(job: NodeJob, place: KeyLocation, put: { condition: number; ifVersion: number }): void {
    if (put.condition === PutCondition.always) return
    const object = this.find(job, place)
    if (put.condition === PutCondition.absent) {
      if (object !== undefined) throw new MayflyError('KEY_EXISTS', 'An object is under this key')
    } else if (put.condition === PutCondition.version) {
      if (object === undefined) throw noVersion(place)
      if (object.version !== put.ifVersion) {
        throw new MayflyError(
          'VERSION_MISMATCH',
          `The key is at version ${object.version}, not ${put.ifVersion}`,
        )
      }
    } else throw violation(`a put has the unknown condition ${put.condition}`)
  }

  /**
   * The charge of an object to be stored, not counting what it replaces. Throws `BAD_REQUEST`, as `store`
   * does.
   */
  chargeOf(
    place: Pick<KeyLocation, 'key'>,
    put: Pick<NewObject, 'kind' | 'bytes' | 'checksum'> & { ttlSeconds: number; metadata: UserMetadata },
  ): number {
    const { kind, bytes, checksum } = put
    const object = { kind, bytes, checksum, version: 1, base: 1, expiresAtMs: this.#expiry(put.ttlSeconds) }
    return costOf(place, { ...object, metadata: encodeNewMetadata(put.metadata) }, bytesApart(bytes))
  }

  /**
   * Replaces the object under the key. `content` is the value or an encoded manifest. Throws
   * `CAPACITY_EXCEEDED` or `BAD_REQUEST`.
   */
  store(
    job: NodeJob,
    place: KeyLocation,
    put: {
      version: number
      kind: Kind
      content: Uint8Array
      ttlSeconds: number
      metadata: UserMetadata
      checksum: number | null
    },
  ): void {
    const { version, kind, content, checksum } = put
    const { slot } = place
    const { memory } = job
    const metadata = encodeNewMetadata(put.metadata)
    const expiresAtMs = this.#expiry(put.ttlSeconds)
    const bytes = content.length
    const object = { version, base: version, expiresAtMs, metadata, checksum, kind, bytes, content }
    memory.compactIfSparse()
    const before = slot.find(place)
    const change = costOf(place, object, bytesApart(content.length)) - objectCharge(before)
    const isNew = before === undefined
    const ending = endingOf(job, before)
    job.admit(change - memory.landedBytes(content))
    if (!slot.set(place, object, before)) {
      memory.retryCompacting(() => slot.set(place, object, slot.find(place)))
    }
    if (kind === Kind.value) job.counters.stored++
    if (ending !== null) freeEnded(job, place, ending, this.#clock.monotonicMs())
    this.#stored(job, place, change, isNew)
  }

  /**
   * As `store`, for a plain value, which it locates and gives a version. False, with nothing stored, if it does
   * not fit into its record, the present object is not plain, or there is no memory: `store` handles these. It
   * creates no object, because half of the time of a small put would be theirs.
   */
  storePlain(job: NodeJob, value: PlainValue): boolean {
    if (value.bytes > PAYLOAD_COPIED_BYTES_MAX) return false
    locatePlain(job, value)
    const { slot } = value
    value.version = slot.nextVersion()
    if (slot.waits !== null && this.#deliver(job, value)) return true
    job.memory.compactIfSparse()
    const { size } = slot.objects
    const change = slot.setPlain(value, job)
    if (change === null) return false
    job.counters.stored++
    this.#stored(job, value, change, slot.objects.size > size)
    return true
  }

  /**
   * Gives the value to the get that waits for it, if that consumes it, as if it had been stored and removed. A sixth
   * of the time of such a put and get would be the table's.
   */
  #deliver(job: NodeJob, value: PlainValue): boolean {
    const { slot } = value
    const waits = waitsOf(value)
    if (waits === undefined || slot.lostKeys !== null || slot.objects.has(value)) return false
    if (!waits.deliver(value, job.waitSteps)) return false
    job.counters.stored++
    return true
  }

  /**
   * Locates the key and sets where its value is. False if the key has no plain record. Throws as `locate`.
   */
  findPlain(job: NodeJob, value: PlainValue): boolean {
    locatePlain(job, value)
    return value.slot.objects.findPlain(value)
  }

  /**
   * Locates the key and removes its plain record. Returns whether the key had one; null, with nothing changed, if it
   * has another record. Throws as `locate`.
   */
  removePlain(job: NodeJob, value: PlainValue): boolean | null {
    locatePlain(job, value)
    const charge = value.slot.objects.removePlain(value)
    if (charge <= 0) return charge === 0 ? false : null
    this.#removed(job, charge)
    return true
  }

  /** Appends to an object, or creates it; it then has `version`. Returns the new length in bytes. */
  grow(
    job: NodeJob,
    place: KeyLocation,
    append: { version: number; payload: Uint8Array; checksum: number | null },
  ): number {
    const { version, payload, checksum } = append
    const { slot } = place
    const { memory } = job
    memory.compactIfSparse()
    const before = this.find(job, place)
    const growth = planAppend(before, payload.length)
    const object = {
      version,
      base: before?.base ?? version,
      expiresAtMs: before?.expiresAtMs ?? 0,
      metadata: before === undefined ? nothing : Buffer.from(before.metadata),
      checksum,
      kind: Kind.appended,
      bytes: growth.bytes,
      content: nothing,
    }
    const change = costOf(place, object, growth.capacityBytes) - objectCharge(before)
    const isNew = before === undefined
    job.admit(change)
    if (!slot.grow(place, { before, object, growth }, payload)) {
      memory.retryCompacting(() => slot.grow(place, { before: slot.find(place), object, growth }, payload))
    }
    if (isNew) job.counters.stored++
    this.#stored(job, place, change, isNew)
    return growth.bytes
  }

  /** Removes the object under the key. Returns whether there was one. */
  delete(job: NodeJob, place: KeyLocation): boolean {
    const object = this.find(job, place)
    if (object !== undefined) this.remove(job, place, object)
    return object !== undefined
  }

  remove(job: NodeJob, { slot, ...key }: Omit<KeyLocation, 'index'>, object: StoredObject): void {
    const charge = objectCharge(object)
    const ending = endingOf(job, object)
    slot.objects.remove(key, object)
    this.#removed(job, charge)
    if (ending !== null) freeEnded(job, { slot, ...key }, ending, this.#clock.monotonicMs())
  }

  #stored(job: NodeJob, place: At, change: number, isNew: boolean): void {
    job.charge(change)
    if (isNew) job.countObjects(1)
    waitsOf(place)?.answer(job.waitSteps)
  }

  #removed(job: NodeJob, charge: number): void {
    job.charge(-charge)
    job.countObjects(-1)
  }

  #expiry(ttlSeconds: number): number {
    if (ttlSeconds > TTL_SECONDS_MAX) {
      throw new MayflyError('BAD_REQUEST', `ttlSeconds: ${ttlSeconds} is over ${TTL_SECONDS_MAX}`)
    }
    return ttlSeconds === 0 ? 0 : Math.round(this.#clock.wallMs() + ttlSeconds * 1000)
  }
}

const nothing = Buffer.alloc(0)

function costOf(
  { key }: Pick<KeyLocation, 'key'>,
  object: Omit<NewObject, 'content'>,
  apartBytes: number,
): number {
  return chargeOf(object, { keyBytes: key.length, metadataBytes: object.metadata.length, apartBytes })
}

/** Tells a key without an object from one that may have been lost. */
function noVersion({ slot, ...key }: KeyLocation): MayflyError {
  const missing = slot.missingError(key)
  if (missing.code !== 'NOT_FOUND') return missing
  return new MayflyError('VERSION_MISMATCH', 'No object is under the key')
}
