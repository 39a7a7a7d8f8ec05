import { errorTable, isError, MayflyError } from '../../protocol/errors.ts'
import { MANY_VALUE_BYTES_MAX, PAYLOAD_BYTES_MAX, WAIT_SECONDS_MAX } from '../../protocol/limits.ts'
import {
  type DataReplies,
  type DataRequests,
  DeleteResult,
  GetManyResult,
  PutCondition,
  StatResult,
} from '../../protocol/operations/data-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { ByteRanges } from '../../protocol/wire/byte-ranges.ts'
import { ByteColumn } from '../../protocol/wire/columns.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Waiter } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { type Address, type KeyLocation, locate } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { KEYS_PER_REQUEST } from '../limits.ts'
import { Kind } from '../memory/record.ts'
import { PlainValue } from '../slot/plain-value.ts'
import { isManifest, isOutsideRam, objectBytes, readObject, tierOf } from '../slot/stored-object.ts'
import { park } from '../slot/waits.ts'
import { verifyArrived } from '../tiers/checksums.ts'
import { checkCount, checkKeys, requestBytes } from './batch-keys.ts'
import { arePlain, checkColumns } from './put-columns.ts'

const nothing = new Uint8Array(0)

interface Value {
  readonly views: readonly Buffer[]
  readonly bytes: number
  readonly checksum: number | null
}

/** Bytes of a version that were read from below RAM. */
export interface Fetched {
  readonly version: number
  readonly payload: Buffer
}

/**
 * Operations on many keys in one message. Each key has its own outcome; all are decided in one step of the
 * event loop.
 */
export class BatchObjects {
  readonly #table: ObjectTable
  readonly #clock: Clock

  constructor(table: ObjectTable, clock: Clock) {
    this.#table = table
    this.#clock = clock
  }

  /** `fetched` has the values read from below RAM, by index of their key. */
  get(
    job: NodeJob,
    request: DataRequests['getMany'],
    fetched: ReadonlyMap<number, Fetched> | null = null,
  ): Reply<DataReplies['getMany']> {
    const { bucket, keys } = request
    checkCount(keys)
    const values = new ByteRanges()
    const checksums: (number | null)[] = []
    const lengths = new Uint32Array(keys.length)
    // A job that spills counts reads in the records.
    const plain = keys instanceof ByteColumn && !job.spills ? keys : null
    const read = new PlainValue(bucket, plain?.memory ?? nothing, nothing)
    job.inOneStep(() => {
      for (let at = 0; at < keys.length; at++) {
        const room = PAYLOAD_BYTES_MAX - values.bytes
        if (plain !== null && this.#findPlain(job, read, plain, at) && fits(read.bytes, room)) {
          job.counters.ram.hits++
          values.add(read.payload, read.start, read.bytes)
          lengths[at] = read.bytes
          if (request.checksums) checksums.push(null)
          continue
        }
        const address = { bucket, key: keys.at(at) as Uint8Array }
        const value = this.#value(job, address, { room, fetched: fetched?.get(at) })
        const isThere = typeof value !== 'number'
        if (request.checksums) checksums.push(isThere ? value.checksum : null)
        lengths[at] = isThere ? value.bytes : value
        if (isThere) for (const view of value.views) values.add(view, 0, view.length)
      }
    })
    job.movedBytes += values.bytes
    return { head: { lengths, checksums }, payload: values, transient: true }
  }

  /** As `ObjectTable.findPlain`, but false if this node may not serve the key's slot. */
  #findPlain(job: NodeJob, read: PlainValue, keys: ByteColumn, at: number): boolean {
    read.takeKey(keys, at)
    try {
      return this.#table.findPlain(job, read)
    } catch (error) {
      if (isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE')) return false
      throw error
    }
  }

  /** Metadata is sent as it is stored: it is not decoded here. */
  stat(job: NodeJob, { bucket, keys }: DataRequests['statMany']): Reply<DataReplies['statMany']> {
    checkCount(keys)
    const { length } = keys
    const results = new Uint8Array(length)
    const bytes = new Float64Array(length)
    const versions = new Float64Array(length)
    const tiers = new Uint8Array(length)
    const expiresAtMs = new Float64Array(length)
    const persist = new Uint8Array(length)
    const metadataBytes = new Uint32Array(length)
    const metadata = new ByteRanges()
    job.inOneStep(() => {
      for (let at = 0; at < length; at++) {
        const place = placeOf(job, { bucket, key: keys.at(at) as Uint8Array })
        const object = place === null ? undefined : this.#table.find(job, place)
        if (place === null) results[at] = StatResult.stale
        else if (object === undefined)
          results[at] = place.slot.mayHaveLostKey(place) ? StatResult.lost : StatResult.absent
        else if (metadata.bytes + object.metadataBytes > PAYLOAD_BYTES_MAX) results[at] = StatResult.later
        else {
          results[at] = StatResult.found
          bytes[at] = objectBytes(job.memory, object)
          versions[at] = object.version
          tiers[at] = tierOf(object)
          expiresAtMs[at] = object.expiresAtMs
          persist[at] = place.slot.persisted.hasObject(place) ? 1 : 0
          metadataBytes[at] = object.metadataBytes
          if (object.metadataBytes > 0) metadata.add(object.metadata, 0, object.metadataBytes)
        }
      }
    })
    job.requests += Math.ceil(length / KEYS_PER_REQUEST)
    job.movedBytes += metadata.bytes
    const head = { results, bytes, versions, tiers, expiresAtMs, persist, metadataBytes }
    return { head, payload: metadata, transient: true }
  }

  put(job: NodeJob, request: DataRequests['putMany'], payload: Buffer): DataReplies['putMany'] {
    checkColumns(request, payload.length)
    return job.inOneStep(() => this.#put(job, request, payload))
  }

  #put(job: NodeJob, request: DataRequests['putMany'], payload: Buffer): DataReplies['putMany'] {
    const { bucket, keys, lengths } = request
    const results = new Uint8Array(keys.length)
    const versions = new Float64Array(keys.length)
    const plain = keys instanceof ByteColumn && arePlain(request) ? keys : null
    const value = new PlainValue(bucket, plain?.memory ?? payload, payload)
    for (let at = 0; at < keys.length; at++) {
      value.start += value.bytes
      value.bytes = lengths[at] as number
      try {
        if (plain !== null && this.#storePlain(job, value, plain, at)) versions[at] = value.version
        else
          versions[at] = this.#store(
            job,
            request,
            at,
            payload.subarray(value.start, value.start + value.bytes),
          )
      } catch (error) {
        if (!(error instanceof MayflyError)) throw error
        results[at] = errorTable[error.code].wire
      }
    }
    return { results, versions }
  }

  /** As `ObjectTable.storePlain`. */
  #storePlain(job: NodeJob, value: PlainValue, keys: ByteColumn, at: number): boolean {
    value.takeKey(keys, at)
    return this.#table.storePlain(job, value)
  }

  /** Checks all keys before the first is deleted, so that a failed request changes nothing. */
  delete(job: NodeJob, request: DataRequests['deleteMany']): DataReplies['deleteMany'] {
    const { bucket, keys } = request
    checkKeys(keys)
    const results = new Uint8Array(keys.length)
    const plain = keys instanceof ByteColumn ? keys : null
    const value = new PlainValue(bucket, plain?.memory ?? nothing, nothing)
    job.inOneStep(() => {
      for (let at = 0; at < keys.length; at++) {
        try {
          const existed =
            (plain === null ? null : this.#removePlain(job, value, plain, at)) ??
            this.#table.delete(job, locate(job, { bucket, key: keys.at(at) as Uint8Array }))
          results[at] = existed ? DeleteResult.deleted : DeleteResult.absent
        } catch (error) {
          if (!isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE')) throw error
          results[at] = DeleteResult.stale
        }
      }
    })
    return { results }
  }

  /** As `ObjectTable.removePlain`. */
  #removePlain(job: NodeJob, value: PlainValue, keys: ByteColumn, at: number): boolean | null {
    value.takeKey(keys, at)
    return this.#table.removePlain(job, value)
  }

  /** Resolves when every key has existed since the call, or at the timeout. */
  async wait(job: NodeJob, request: DataRequests['waitMany'], waiter: Waiter): Promise<void> {
    const { bucket, keys } = request
    checkCount(keys)
    const untilMs = this.#clock.monotonicMs() + Math.min(request.waitMs, WAIT_SECONDS_MAX * 1000)
    const release = job.underWay.park(requestBytes(request))
    try {
      for (const key of keys) {
        const place = locate(job, { bucket, key })
        if (this.#table.find(job, place) !== undefined) continue
        const waitMs = untilMs - this.#clock.monotonicMs()
        if (waitMs <= 0) return
        if (!(await this.#appears(job, place, { waitMs, waiter }))) return
      }
    } finally {
      release()
    }
  }

  /** False at the timeout. */
  async #appears(
    job: NodeJob,
    place: KeyLocation,
    wait: { waitMs: number; waiter: Waiter },
  ): Promise<boolean> {
    let isOver = false
    try {
      return await park(
        place,
        { ...wait, clock: this.#clock, underWay: job.underWay },
        {
          attempt: () => (this.#table.find(job, place) === undefined ? null : true),
          deliver: () => null,
          missed: () => {
            isOver = true
            return place.slot.missingError(place)
          },
        },
      )
    } catch (error) {
      if (isOver) return false
      throw error
    }
  }

  /** The value, valid until something is stored; or a `GetManyResult`. */
  #value(
    job: NodeJob,
    address: Address,
    { room, fetched }: { room: number; fetched: Fetched | undefined },
  ): Value | number {
    const place = placeOf(job, address)
    if (place === null) return GetManyResult.stale
    const object = this.#table.find(job, place)
    if (object === undefined) {
      return place.slot.mayHaveLostKey(place) ? GetManyResult.lost : GetManyResult.absent
    }
    const { bytes, checksum } = object
    if (!fits(bytes, room)) return GetManyResult.alone
    if (fetched?.version === object.version) return { views: [fetched.payload], bytes, checksum }
    if (isOutsideRam(object) || isManifest(object)) return GetManyResult.alone
    job.counters.ram.hits++
    if (job.spills) job.counters.readAgain(object.reads++)
    return { views: readObject(job.memory, object, { offset: 0, bytes }).views, bytes, checksum }
  }

  /** Returns the version. */
  #store(job: NodeJob, request: DataRequests['putMany'], at: number, bytes: Buffer): number {
    const { bucket, keys } = request
    const place = locate(job, { bucket, key: keys.at(at) as Uint8Array })
    const condition = request.conditions[at] ?? PutCondition.always
    const checksum = request.checksums[at] ?? null
    verifyArrived(bytes, checksum)
    this.#table.check(job, place, { condition, ifVersion: request.ifVersions[at] ?? 0 })
    const version = place.slot.nextVersion()
    const ttlSeconds = request.ttlSeconds[at] ?? 0
    const metadata = request.metadata[at] ?? []
    this.#table.store(job, place, {
      version,
      kind: Kind.value,
      content: bytes,
      ttlSeconds,
      metadata,
      checksum,
    })
    return version
  }
}

/** As `locate`, but null if this node may not serve the key's slot. */
function placeOf(job: NodeJob, address: Address): KeyLocation | null {
  try {
    return locate(job, address)
  } catch (error) {
    if (isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE')) return null
    throw error
  }
}

/** Whether a value may be in the answer, which has so much room left. */
function fits(bytes: number, room: number): boolean {
  return bytes <= Math.min(room, MANY_VALUE_BYTES_MAX)
}
