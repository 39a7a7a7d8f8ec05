import { MayflyError } from '../../protocol/errors.ts'
import { CHUNK_BYTES, CHUNKS_MAX, READ_LEASE_MS } from '../../protocol/limits.ts'
import type { DataReplies, DataRequests } from '../../protocol/operations/data-operations.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { Peer } from '../../service/server/peer.ts'
import { freeEnded } from '../job/ended-chunks.ts'
import type { NodeJob } from '../job/job.ts'
import { type ChunkName, type KeyLocation, locate, locateAgain, locateChunk } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { OPEN_PUTS_MAX, PUT_LEASE_MS } from '../limits.ts'
import { readParts } from '../memory/payload.ts'
import { type PinnedReply, pinnedReply } from '../memory/pinned-reply.ts'
import { Kind } from '../memory/record.ts'
import {
  type Chunk,
  chargeOfChunk,
  chunkCharge,
  chunkGroupKey,
  DemotedChunk,
  LostChunk,
  RemoteChunk,
  StoredChunk,
} from '../slot/chunks.ts'
import { keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import { encodeManifest } from '../slot/stored-object.ts'
import { dropLapsed } from '../slot/version-leases.ts'
import { countPromotion, type LowerReads } from '../tiering/lower-reads.ts'
import { verifyArrived } from '../tiers/checksums.ts'
import { SharedReads } from '../tiers/shared-reads.ts'
import { byteRangeOf } from './byte-range.ts'

/** A chunk in its slot. */
interface ChunkPlace {
  readonly place: KeyLocation
  readonly groupKey: string
  readonly version: number
  readonly index: number
}

type ChunkReply = PinnedReply<DataReplies['chunkGet']>

/** Who reads a chunk, and whether it must be stored on this node. */
interface ChunkReadOptions {
  readonly peer: Peer | null
  readonly mustStore: boolean
}

const nobody: ChunkReadOptions = { peer: null, mustStore: false }

/** Lease end of a version whose commit is running. */
const HELD = Number.POSITIVE_INFINITY

/** Fetches the bytes of a remote chunk. Resolves when they are here or known to be lost. */
export type FetchRemoteChunk = (job: NodeJob, at: ChunkPlace) => Promise<void>

/** Reads a chunk from the persistent store; null if its object is not persisted. */
export type ReadPersisted = (job: NodeJob, chunk: ChunkName) => Promise<Buffer | null>

/**
 * Objects larger than one chunk. The key's owner issues and leases a version; chunks are stored in their own
 * slots; `commit` stores the manifest, which makes the object visible atomically.
 */
export class LargeObjects {
  readonly #table: ObjectTable
  readonly #clock: Clock
  readonly #fetch: FetchRemoteChunk
  readonly #readPersisted: ReadPersisted
  readonly #lowerReads: LowerReads
  readonly #persistedReads: SharedReads<Buffer | null>

  constructor(
    table: ObjectTable,
    options: { clock: Clock; fetch: FetchRemoteChunk; readPersisted: ReadPersisted; lowerReads: LowerReads },
  ) {
    this.#table = table
    this.#clock = options.clock
    this.#fetch = options.fetch
    this.#readPersisted = options.readPersisted
    this.#lowerReads = options.lowerReads
    this.#persistedReads = new SharedReads(options.clock)
  }

  begin(job: NodeJob, request: DataRequests['putBegin']): DataReplies['putBegin'] {
    const place = locate(job, request)
    this.#table.check(job, place, request)
    const { openPuts } = place.slot
    if (openPuts.size >= OPEN_PUTS_MAX) dropLapsed(openPuts, this.#clock.monotonicMs())
    if (openPuts.size >= OPEN_PUTS_MAX) {
      throw new MayflyError('TOO_MANY_REQUESTS', `${OPEN_PUTS_MAX} large puts are under way in one slot`)
    }
    job.leases.take(job.slots, this.#clock.monotonicMs())
    const version = place.slot.nextVersion()
    this.#lease(place.slot, version)
    return { version, leaseMs: PUT_LEASE_MS }
  }

  renew(job: NodeJob, request: DataRequests['putRenew']): void {
    const { slot } = locate(job, request)
    this.requireOpen(slot, request.version)
    if (slot.openPuts.get(request.version) !== HELD) this.#lease(slot, request.version)
  }

  /** A long commit has begun: neither an abort nor a lapsed lease stops it. Throws `PUT_EXPIRED`. */
  holdOpen(slot: Slot, version: number): void {
    this.requireOpen(slot, version)
    slot.openPuts.set(version, HELD)
  }

  /** The long commit has ended. */
  releaseOpen(slot: Slot, version: number): void {
    if (slot.openPuts.get(version) === HELD) this.#lease(slot, version)
  }

  commit(job: NodeJob, request: DataRequests['putCommit']): DataReplies['putCommit'] {
    const place = locate(job, request)
    const { version } = request
    this.requireOpen(place.slot, version)
    this.#table.check(job, place, request)
    this.#table.store(job, place, {
      ...request,
      kind: Kind.manifest,
      content: encodeManifest(request.manifest),
      checksum: null,
    })
    if (place.slot.openPuts.delete(version)) job.leases.giveBack()
    return { version }
  }

  abort(job: NodeJob, request: DataRequests['putAbort']): void {
    const { openPuts } = locate(job, request).slot
    if (openPuts.get(request.version) !== HELD && openPuts.delete(request.version)) job.leases.giveBack()
  }

  /** `payload` is copied, unless it was received into the job's memory. */
  putChunk(job: NodeJob, request: DataRequests['chunkPut'], payload: Uint8Array): void {
    const { bucket, version, index, checksum } = request
    if (index >= CHUNKS_MAX) throw violation(`chunk ${index} is over ${CHUNKS_MAX}`)
    verifyArrived(payload, checksum)
    const { place, groupKey } = chunkPlaceOf(job, request)
    const { chunks } = place.slot
    const before = chunks.find(groupKey, index)
    const change = chunkCharge(payload.length) - (before === undefined ? 0 : chargeOfChunk(before))
    job.admit(change - job.memory.landedBytes(payload))
    const chunk = chunks.write(payload)
    job.charge(change)
    chunks.set({ bucket, key: Buffer.from(request.key), version }, { groupKey, index, checksum }, chunk)
    job.counters.stored++
  }

  /**
   * Reads a chunk. A missing one is read from the persistent store if its object is persisted; with
   * `mustStore` only if it can be stored here.
   */
  getChunk(
    job: NodeJob,
    request: DataRequests['chunkGet'],
    options: ChunkReadOptions = nobody,
  ): ChunkReply | Promise<ChunkReply> {
    const at = chunkPlaceOf(job, request)
    const { slot } = at.place
    const chunk = slot.chunks.find(at.groupKey, at.index)
    if (chunk instanceof StoredChunk) return this.#read(job, at, { chunk, request })
    const own = { ...request, key: Buffer.from(request.key) }
    const place = { ...at.place, key: own.key }
    return this.#getOutsideRam(job, { at: { ...at, place }, chunk, request: own }, options)
  }

  #read(
    job: NodeJob,
    { place, groupKey, index }: ChunkPlace,
    { chunk, request }: { chunk: StoredChunk; request: DataRequests['chunkGet'] },
  ): ChunkReply {
    const { offset, bytes } = byteRangeOf(request, chunk.bytes)
    job.movedBytes += bytes
    job.counters.ram.hits++
    if (job.spills) job.counters.readAgain(chunk.reads++)
    const piece = readParts(job.memory, chunk.parts, { offset, bytes })
    return pinnedReply({ checksum: place.slot.chunks.checksumOf(groupKey, index) }, job.memory, piece)
  }

  /** Fetches the bytes, then retries if the chunk has changed meanwhile. */
  async #getOutsideRam(
    job: NodeJob,
    { at, chunk, request }: { at: ChunkPlace; chunk: Chunk | undefined; request: DataRequests['chunkGet'] },
    options: ChunkReadOptions,
  ): Promise<ChunkReply> {
    const bytes =
      chunk instanceof DemotedChunk ? byteRangeOf(request, chunk.bytes).bytes : (chunk?.bytes ?? CHUNK_BYTES)
    const answer = await job.underWay.answer(options.peer, bytes, async () => {
      if (chunk instanceof DemotedChunk) return await this.#readLower(job, at, { chunk, request })
      if (chunk instanceof RemoteChunk) {
        await this.#fetch(job, at)
        return null
      }
      return await this.#getPersisted(job, request, options.mustStore)
    })
    return answer ?? (await this.getChunk(job, request, options))
  }

  /** Null if the chunk is here by now. */
  async #getPersisted(
    job: NodeJob,
    request: DataRequests['chunkGet'],
    mustStore: boolean,
  ): Promise<ChunkReply | null> {
    const { groupKey, index } = chunkPlaceOf(job, request)
    const { result: payload, release: sent } = await this.#persistedReads.share(
      job,
      { name: chunkReadName(groupKey, index), bytes: CHUNK_BYTES },
      () => this.#readPersisted(job, request),
    )
    try {
      const reply = this.#enterPersisted(job, request, { payload, mustStay: mustStore })
      if (reply === null) sent()
      return reply === null ? null : { ...reply, sent }
    } catch (error) {
      sent()
      throw error
    }
  }

  #enterPersisted(
    job: NodeJob,
    request: DataRequests['chunkGet'],
    { payload, mustStay: mustStore }: { payload: Buffer | null; mustStay: boolean },
  ): ChunkReply | null {
    const { place, groupKey, index } = chunkPlaceOf(job, request)
    const chunk = place.slot.chunks.find(groupKey, index)
    if (chunk !== undefined && !(chunk instanceof LostChunk)) return null
    if (payload === null) {
      if (chunk === undefined) throw place.slot.missingError(place)
      throw new MayflyError('OBJECT_LOST', 'The node that held the chunk died')
    }
    const charge = chunkCharge(payload.length)
    if (mustStore) job.admit(charge)
    const here = mustStore || job.hasSpare(charge) ? place.slot.chunks.tryWrite(payload, 0) : null
    if (here !== null) {
      const { bucket, key, version } = request
      job.track(place.slot, () =>
        place.slot.chunks.set(
          { bucket, key: Buffer.from(key), version },
          { groupKey, index, checksum: null },
          here,
        ),
      )
    } else if (mustStore) throw new MayflyError('CAPACITY_EXCEEDED', "The node's memory is full")
    const { offset, bytes } = byteRangeOf(request, payload.length)
    job.movedBytes += bytes
    return { head: { checksum: null }, payload: payload.subarray(offset, offset + bytes) }
  }

  /** As `Objects.get` of an object below RAM. Null if the chunk has changed. */
  async #readLower(
    job: NodeJob,
    { place, groupKey, index }: ChunkPlace,
    { chunk, request }: { chunk: DemotedChunk; request: DataRequests['chunkGet'] },
  ): Promise<ChunkReply | null> {
    const part = byteRangeOf(request, chunk.bytes)
    const find = (): { slot: Slot; isSame: boolean } => {
      const { slot } = locateAgain(job, place)
      return { slot, isSame: slot.chunks.find(groupKey, index) === chunk }
    }
    const wanted = { ...part, name: chunkReadName(groupKey, index) }
    const read = await this.#lowerReads.read(job, wanted, () => (find().isSame ? chunk.location : null))
    if (read === null) return null
    const { result: payload, release: sent } = read
    try {
      const { slot, isSame } = find()
      if (!isSame) {
        sent()
        return null
      }
      job.movedBytes += part.bytes
      job.counters.readAgain(chunk.reads++)
      const checksum = slot.chunks.checksumOf(groupKey, index)
      if (part.bytes === chunk.bytes) this.#promote(job, { slot, groupKey, index }, { chunk, payload })
      return { head: { checksum }, payload, sent }
    } catch (error) {
      sent()
      throw error
    }
  }

  #promote(
    job: NodeJob,
    { slot, groupKey, index }: { slot: Slot; groupKey: string; index: number },
    { chunk, payload }: { chunk: DemotedChunk; payload: Buffer },
  ): void {
    const { tier, bytes, reads } = chunk
    const group = slot.chunks.groups.get(groupKey)
    if (group === undefined || !this.#lowerReads.promotes(job, { tier, bytes, reads })) return
    const checksum = slot.chunks.checksumOf(groupKey, index)
    job.track(slot, () => {
      const here = slot.chunks.tryWrite(payload, reads)
      if (here !== null) slot.chunks.set(group, { groupKey, index, checksum }, here)
      countPromotion(job, { tier, bytes, isDone: here !== null })
    })
  }

  /** Renews a read lease: the version's chunks stay, also after the object was replaced. */
  renewRead(job: NodeJob, request: DataRequests['readRenew']): void {
    const place = locate(job, request)
    const { version, lease } = request
    const { readLeases } = place.slot
    const now = this.#clock.monotonicMs()
    if (!readLeases.isHeld(version, now) && this.#table.find(job, place)?.version !== version) {
      throw new MayflyError('NOT_FOUND', `The lease of version ${version} of the key has lapsed`)
    }
    if (!readLeases.has(version, lease)) job.leases.take(job.slots, now)
    readLeases.hold(version, lease, now + READ_LEASE_MS)
  }

  /** Ends a read lease. */
  endRead(job: NodeJob, request: DataRequests['readEnd']): void {
    const place = locate(job, request)
    const { readLeases } = place.slot
    if (readLeases.has(request.version, request.lease)) job.leases.giveBack()
    const ending = readLeases.end(request.version, request.lease)
    if (ending !== null) freeEnded(job, place, ending, this.#clock.monotonicMs())
  }

  /** Whether chunks of this version are still needed. Asked of the key's owner. */
  isAlive(job: NodeJob, request: { bucket: number; key: Uint8Array; version: number }): boolean {
    if (job.buckets.isDeleted(request.bucket)) return false
    const place = locate(job, request)
    const now = this.#clock.monotonicMs()
    const { slot } = place
    if (slot.isOpen(request.version, now) || slot.readLeases.isHeld(request.version, now)) return true
    return this.#table.find(job, place)?.version === request.version
  }

  #lease({ openPuts }: Slot, version: number): void {
    openPuts.set(version, this.#clock.monotonicMs() + PUT_LEASE_MS)
  }

  /** Throws `PUT_EXPIRED`. */
  requireOpen(slot: Slot, version: number): void {
    if (slot.isOpen(version, this.#clock.monotonicMs())) return
    throw new MayflyError(
      'PUT_EXPIRED',
      `Version ${version} of the key is not being put, or its lease lapsed`,
    )
  }
}

function chunkPlaceOf(job: NodeJob, request: ChunkName): ChunkPlace {
  const place = locateChunk(job, request)
  const { version, index } = request
  return { place, groupKey: chunkGroupKey(place.bucket, keyString(place.key), version), version, index }
}

/** Identifies one chunk among shared reads. */
function chunkReadName(groupKey: string, index: number): string {
  return `chunk/${index}/${groupKey}`
}
