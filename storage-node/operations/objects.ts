import { crc32 } from 'node:zlib'
import { asMayflyError, MayflyError } from '../../protocol/errors.ts'
import { PAYLOAD_BYTES_MAX, READ_LEASE_MS, WAIT_SECONDS_MAX } from '../../protocol/limits.ts'
import {
  ANY_VERSION,
  type DataReplies,
  type DataRequests,
  ObjectKind,
} from '../../protocol/operations/data-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Waiter } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { type KeyLocation, locate, locateAgain } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { detached, type PinnedReply, pinnedReply } from '../memory/pinned-reply.ts'
import { Kind, type Location } from '../memory/record.ts'
import {
  isDemoted,
  isManifest,
  isOutsideRam,
  manifestOf,
  metadataOf,
  objectBytes,
  type RemoteObject,
  readObject,
  remoteObject,
  type StoredObject,
  tierOf,
} from '../slot/stored-object.ts'
import { park } from '../slot/waits.ts'
import { type LowerReads, objectReadName } from '../tiering/lower-reads.ts'
import { moveToRam } from '../tiering/storage-location.ts'
import { verifyArrived } from '../tiers/checksums.ts'
import { byteRangeOf } from './byte-range.ts'
import { deliverPlain, getPlain, isWholeConsume, putPlain } from './plain.ts'

type Get = PinnedReply<DataReplies['get']>

/** Retries a get, or an append, with a copied request. */
type RetryGet = (request: DataRequests['get']) => Get | Promise<Get>
type RetryAppend = (
  request: DataRequests['append'],
  payload: Buffer,
) => Reply<DataReplies['append']> | Promise<Reply<DataReplies['append']>>

interface GetOptions {
  readonly waiter: Waiter | null
  readonly retry: RetryGet | null
}

/** Fetches the bytes of a remote entry. Resolves when they are here or known to be lost. */
export type FetchRemote = (job: NodeJob, place: KeyLocation, entry: RemoteObject) => Promise<void>

/**
 * Operations on one key. Each is decided in one step of the event loop. One that needs bytes from a handoff
 * or from below RAM waits for them and is then retried.
 */
export class Objects {
  readonly #table: ObjectTable
  readonly #clock: Clock
  readonly #fetch: FetchRemote
  readonly #lowerReads: LowerReads

  constructor(table: ObjectTable, options: { clock: Clock; fetch: FetchRemote; lowerReads: LowerReads }) {
    this.#table = table
    this.#clock = options.clock
    this.#fetch = options.fetch
    this.#lowerReads = options.lowerReads
  }

  /** `payload` is copied, unless it was received into the job's memory. */
  put(job: NodeJob, request: DataRequests['put'], payload: Uint8Array): DataReplies['put'] {
    const plain = putPlain(this.#table, job, request, payload)
    if (plain !== null) return { version: plain }
    verifyArrived(payload, request.checksum)
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

  /** `retry` is called after waiting for bytes, because the key may have changed meanwhile. */
  get(
    job: NodeJob,
    request: DataRequests['get'],
    waiter: Waiter | null,
    retry: RetryGet | null = null,
  ): Get | Promise<Get> {
    return this.#get(job, request, { waiter, later: false, retry })
  }

  #get(
    job: NodeJob,
    request: DataRequests['get'],
    options: GetOptions & { later: boolean },
  ): Get | Promise<Get> {
    const place = locate(job, request)
    const plain = getPlain(job, place, request)
    if (plain !== null) return options.later ? detached(plain) : plain
    const object = this.#table.find(job, place)
    if (object === undefined) return this.#waitForPut(job, place, request, options)
    if (isOutsideRam(object)) {
      const own = copyRequest(request)
      const at = { ...place, key: own.key }
      if (isDemoted(object)) return this.#getLower(job, at, object, { ...options, request: own })
      return this.#getRemote(job, at, remoteObject(object), { ...options, request: own })
    }
    return this.#read(job, place, object, { request, later: options.later })
  }

  /** Reads from a tier below RAM. The bytes count only if the version is unchanged. */
  async #getLower(
    job: NodeJob,
    place: KeyLocation,
    { version, bytes: wholeBytes }: StoredObject,
    { request, ...by }: GetOptions & { request: DataRequests['get'] },
  ): Promise<Get> {
    checkVersion(this.#present(job, place), request)
    const part = byteRangeOf(request, wholeBytes)
    const answer = await job.underWay.answer(by.waiter?.peer ?? null, part.bytes, () =>
      this.#readLower(job, { place, request }, { version, part }),
    )
    return answer ?? (await this.#retryGet(job, request, by))
  }

  /** Null if the key has another version by now, or its bytes are elsewhere. */
  async #readLower(
    job: NodeJob,
    { place, request }: { place: KeyLocation; request: DataRequests['get'] },
    { version, part }: { version: number; part: { offset: number; bytes: number } },
  ): Promise<Get | null> {
    const wanted = { ...part, name: objectReadName(place, version) }
    const read = await this.#lowerReads.read(job, wanted, () => this.#locationOf(job, place, version))
    if (read === null) return null
    const { result: payload, release: sent } = read
    try {
      const again = locateAgain(job, place)
      const object = this.#table.find(job, again)
      if (object?.version !== version) {
        sent()
        return null
      }
      const { checksum, bytes } = object
      const consumed = request.consume && takesAll(request, { version, bytes }, part.bytes)
      job.movedBytes += part.bytes
      job.counters.readAgain(object.reads++)
      if (consumed) this.#table.remove(job, again, object)
      else if (part.bytes === bytes && isDemoted(object))
        this.#lowerReads.promote(job, { slot: again.slot, key: again }, payload)
      const head = { version, kind: ObjectKind.value, bytes, checksum, consumed, manifest: [], lease: 0 }
      return { head, payload, sent }
    } catch (error) {
      sent()
      throw error
    }
  }

  /** Fetches the object from the slot's previous owner, then retries the get. */
  async #getRemote(
    job: NodeJob,
    place: KeyLocation,
    entry: RemoteObject,
    { request, ...by }: GetOptions & { request: DataRequests['get'] },
  ): Promise<Get> {
    await job.underWay.answer(by.waiter?.peer ?? null, Math.min(entry.bytes, PAYLOAD_BYTES_MAX), async () => {
      await this.#fetch(job, place, entry)
      return null
    })
    return await this.#retryGet(job, request, by)
  }

  #retryGet(job: NodeJob, request: DataRequests['get'], options: GetOptions): Get | Promise<Get> {
    if (options.retry === null) return this.#get(job, request, { ...options, later: true })
    const reply = options.retry(request)
    return reply instanceof Promise ? reply : detached(reply)
  }

  /** Where an object of this version is below RAM; else null. Throws what `locate` throws. */
  #locationOf(job: NodeJob, place: KeyLocation, version: number): Location | null {
    const object = this.#table.find(job, locateAgain(job, place))
    return object?.version === version && isDemoted(object) ? object.location : null
  }

  /** Moves an object back into RAM. Rejects with `CAPACITY_EXCEEDED` if the job has no room for it. */
  async #moveIntoRam(job: NodeJob, place: KeyLocation, { version, bytes }: StoredObject): Promise<void> {
    const wanted = { offset: 0, bytes, name: objectReadName(place, version) }
    const read = await this.#lowerReads.read(job, wanted, () => this.#locationOf(job, place, version))
    if (read === null) return
    try {
      if (this.#locationOf(job, place, version) === null) return
      job.admit(bytes)
      moveToRam(job, { slot: locateAgain(job, place).slot, key: place }, read.result)
    } finally {
      read.release()
    }
  }

  stat(job: NodeJob, request: DataRequests['stat']): DataReplies['stat'] {
    const place = locate(job, request)
    const object = this.#present(job, place)
    const { version, expiresAtMs } = object
    const bytes = objectBytes(job.memory, object)
    const persist = place.slot.persisted.hasObject(place)
    const tier = tierOf(object)
    return { bytes, version, tier, expiresAtMs, metadata: metadataOf(object), persist }
  }

  delete(job: NodeJob, request: DataRequests['delete']): DataReplies['delete'] {
    return { existed: this.#table.delete(job, locate(job, request)) }
  }

  append(
    job: NodeJob,
    request: DataRequests['append'],
    payload: Uint8Array,
    retry: RetryAppend = (copied, bytes) => this.append(job, copied, bytes),
  ): Reply<DataReplies['append']> | Promise<Reply<DataReplies['append']>> {
    verifyArrived(payload, request.checksum)
    const place = locate(job, request)
    const object = this.#table.find(job, place)
    if (object !== undefined && isOutsideRam(object)) {
      const copy = Buffer.from(payload)
      const at = { ...place, key: Buffer.from(place.key) }
      const here = isDemoted(object)
        ? this.#moveIntoRam(job, at, object)
        : this.#fetch(job, at, remoteObject(object))
      return here.then(() => retry({ ...request, key: at.key }, copy))
    }
    const checksum = appendedChecksum(object, request.checksum, payload)
    const version = place.slot.nextVersion()
    const bytes = this.#table.grow(job, place, { version, payload, checksum })
    return { head: { bytes, version } }
  }

  /** With `later` the reply is not sent in this turn, so its payload is detached. */
  #read(
    job: NodeJob,
    place: KeyLocation,
    object: StoredObject,
    { request, later }: { request: DataRequests['get']; later: boolean },
  ): Get {
    const { version, checksum } = object
    checkVersion(object, request)
    const bytes = objectBytes(job.memory, object)
    if (isManifest(object)) {
      const manifest = manifestOf(job.memory, object)
      // Before the object is removed: an unleased version is freed with it.
      const lease = place.slot.nextVersion()
      job.leases.take(job.slots, this.#clock.monotonicMs())
      place.slot.readLeases.hold(version, lease, this.#clock.monotonicMs() + READ_LEASE_MS)
      if (request.consume) this.#table.remove(job, place, object)
      const { consume: consumed } = request
      return { head: { version, kind: ObjectKind.manifest, bytes, checksum, consumed, manifest, lease } }
    }
    const part = byteRangeOf(request, bytes)
    const consumed = request.consume && takesAll(request, { version, bytes }, part.bytes)
    const head = { version, kind: ObjectKind.value, bytes, checksum, consumed, manifest: [], lease: 0 }
    const piece = readObject(job.memory, object, part)
    const reply = pinnedReply(head, job.memory, piece)
    job.movedBytes += part.bytes
    job.counters.ram.hits++
    if (job.spills) job.counters.readAgain(object.reads++)
    if (!consumed) return later ? detached(reply) : reply
    const last = detached(reply)
    this.#table.remove(job, place, object)
    return last
  }

  /**
   * The key is missing: fails without `waitMs`, else parks the get until a put answers it. A consuming get of
   * a persistent object is retried then, because the object must first be removed from the persistent store.
   */
  #waitForPut(
    job: NodeJob,
    missing: KeyLocation,
    asked: DataRequests['get'],
    { waiter, retry }: GetOptions,
  ): Get | Promise<Get> {
    if (waiter === null || asked.waitMs === 0) throw missing.slot.missingError(missing)
    const request = copyRequest(asked)
    const place = { ...missing, key: request.key }
    const waitMs = Math.min(request.waitMs, WAIT_SECONDS_MAX * 1000)
    const untilMs = this.#clock.monotonicMs() + waitMs
    return park<Get>(
      place,
      { waitMs, clock: this.#clock, waiter, underWay: job.underWay },
      {
        attempt: () => {
          const object = this.#table.find(job, place)
          if (object === undefined) return null
          if (retry === null || !request.consume || !place.slot.persisted.mayHave(place))
            return this.#read(job, place, object, { request, later: true })
          const leftMs = Math.max(0, Math.round(untilMs - this.#clock.monotonicMs()))
          return retry({ ...request, waitMs: leftMs })
        },
        deliver: (value) => {
          if (!isWholeConsume(request) || place.slot.persisted.mayHave(place)) return null
          return deliverPlain(job, value)
        },
        missed: () => this.#miss(job, place),
      },
    )
  }

  /** Only a node that may still serve the slot can tell that a key is missing. */
  #miss(job: NodeJob, place: KeyLocation): MayflyError {
    try {
      return job.ownedSlot(place.index).missingError(place)
    } catch (error) {
      return asMayflyError(error)
    }
  }

  #present(job: NodeJob, place: KeyLocation): StoredObject {
    const object = this.#table.find(job, place)
    if (object === undefined) throw place.slot.missingError(place)
    return object
  }
}

/**
 * Whether a consuming get of so many bytes removes the object. A get of a part only reads it, unless it names
 * the version.
 */
export function takesAll(
  request: DataRequests['get'],
  object: { readonly version: number; readonly bytes: number },
  partBytes: number,
): boolean {
  return request.version === object.version || partBytes === object.bytes
}

/** A copy of a request that outlives its message. */
function copyRequest(request: DataRequests['get']): DataRequests['get'] {
  return { ...request, key: Buffer.from(request.key) }
}

/**
 * A reader of several ranges may continue if only appends have changed the object since. Throws
 * `VERSION_MISMATCH`.
 */
export function checkVersion(object: StoredObject, { version, consume }: DataRequests['get']): void {
  if (version === ANY_VERSION || version === object.version) return
  if (!consume && object.base <= version && version < object.version) return
  throw new MayflyError('VERSION_MISMATCH', `The key is at version ${object.version}, not ${version}`)
}

/** The checksum after appending `payload`; null unless both writers computed one. */
function appendedChecksum(
  before: StoredObject | undefined,
  checksum: number | null,
  payload: Uint8Array,
): number | null {
  if (checksum === null) return null
  if (before === undefined) return checksum
  return before.checksum === null ? null : crc32(payload, before.checksum)
}
