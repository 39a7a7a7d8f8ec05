import type { dataOperations } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { hashChunk, hashKey, slotOf } from '../protocol/hash.ts'
import { checkKey } from '../protocol/keys.ts'
import { CHUNKS_MAX, OPEN_PUTS_MAX, PUT_LEASE_MS } from '../protocol/limits.ts'
import type { ReplyOf, RequestOf } from '../protocol/operation.ts'
import { violation } from '../protocol/reader.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { JobSpace } from './job-space.ts'
import { keyString, locate, type Objects } from './objects.ts'
import { chunkCharge, chunkGroupKey, type Slot } from './slot.ts'

type Requests = { [Name in keyof typeof dataOperations]: RequestOf<(typeof dataOperations)[Name]> }
type Replies = { [Name in keyof typeof dataOperations]: ReplyOf<(typeof dataOperations)[Name]> }

/**
 * Objects above one chunk. The key's owner gives a version and leases it; chunks lie in slots of their own; the
 * manifest that `commit` brings makes the object visible, all at once.
 */
export class LargeObjects {
  readonly #objects: Objects
  readonly #clock: Clock

  constructor(objects: Objects, clock: Clock) {
    this.#objects = objects
    this.#clock = clock
  }

  begin(job: JobSpace, request: Requests['putBegin']): Replies['putBegin'] {
    const place = locate(job, request)
    this.#objects.checkCondition(job, place, request.condition)
    const { openPuts } = place.slot
    if (openPuts.size >= OPEN_PUTS_MAX) dropLapsed(openPuts, this.#clock.monotonicMs())
    if (openPuts.size >= OPEN_PUTS_MAX) {
      throw new MayflyError('TOO_MANY_REQUESTS', `${OPEN_PUTS_MAX} large puts are under way in one slot`)
    }
    const version = place.slot.nextVersion()
    openPuts.set(version, this.#clock.monotonicMs() + PUT_LEASE_MS)
    return { version, leaseMs: PUT_LEASE_MS }
  }

  renew(job: JobSpace, request: Requests['putRenew']): void {
    const { slot } = locate(job, request)
    this.#requireOpen(slot, request.version)
    slot.openPuts.set(request.version, this.#clock.monotonicMs() + PUT_LEASE_MS)
  }

  commit(job: JobSpace, request: Requests['putCommit']): Replies['putCommit'] {
    const place = locate(job, request)
    this.#requireOpen(place.slot, request.version)
    this.#objects.checkCondition(job, place, request.condition)
    const reply = this.#objects.store(job, place, { ...request, content: request.manifest })
    place.slot.openPuts.delete(request.version)
    return reply
  }

  abort(job: JobSpace, request: Requests['putAbort']): void {
    locate(job, request).slot.openPuts.delete(request.version)
  }

  /** `payload` is kept as it is: the caller gives its memory away. */
  putChunk(job: JobSpace, request: Requests['chunkPut'], payload: Buffer): void {
    const { slot, groupKey } = locateChunk(job, request)
    if (request.index >= CHUNKS_MAX) throw violation(`chunk ${request.index} is over ${CHUNKS_MAX}`)
    const before = slot.chunks.get(groupKey)?.chunks.get(request.index)
    const change = chunkCharge(payload) - (before === undefined ? 0 : chunkCharge(before))
    job.admit(change)
    job.charge(change)
    let group = slot.chunks.get(groupKey)
    if (group === undefined) {
      const { bucket, version } = request
      group = { bucket, key: Buffer.from(request.key), version, chunks: new Map() }
      slot.chunks.set(groupKey, group)
    }
    group.chunks.set(request.index, payload)
  }

  getChunk(job: JobSpace, request: Requests['chunkGet']): Buffer {
    const { slot, groupKey } = locateChunk(job, request)
    const chunk = slot.chunks.get(groupKey)?.chunks.get(request.index)
    if (chunk === undefined) throw slot.missing()
    job.movedBytes += chunk.length
    return chunk
  }

  /** Whether chunks of this version are still wanted. Asked of the key's owner. */
  isAlive(job: JobSpace, request: { bucket: number; key: Uint8Array; version: number }): boolean {
    if (job.droppedBuckets.has(request.bucket)) return false
    const place = locate(job, request)
    const now = this.#clock.monotonicMs()
    const { openPuts, readLeases } = place.slot
    if ((openPuts.get(request.version) ?? 0) > now || (readLeases.get(request.version) ?? 0) > now)
      return true
    return this.#objects.find(job, place)?.version === request.version
  }

  #requireOpen(slot: Slot, version: number): void {
    if ((slot.openPuts.get(version) ?? 0) > this.#clock.monotonicMs()) return
    throw new MayflyError(
      'PUT_EXPIRED',
      `Version ${version} of the key is not being put, or its lease lapsed`,
    )
  }
}

/** Frees one group of chunks that nobody wants any more. */
export function freeChunks(job: JobSpace, slot: Slot, groupKey: string): void {
  for (const chunk of slot.chunks.get(groupKey)?.chunks.values() ?? []) job.charge(-chunkCharge(chunk))
  slot.chunks.delete(groupKey)
}

/** Forgets leases that have lapsed. */
export function dropLapsed(leases: Map<number, number>, nowMs: number): void {
  for (const [version, untilMs] of leases) if (untilMs <= nowMs) leases.delete(version)
}

function locateChunk(
  job: JobSpace,
  request: { bucket: number; key: Uint8Array; version: number; index: number },
): { slot: Slot; groupKey: string } {
  checkKey(request.key)
  const hash = hashChunk(hashKey(request.key, request.bucket), request.version, request.index)
  const slot = job.ownedSlot(slotOf(hash, job.slots.length))
  if (job.droppedBuckets.has(request.bucket))
    throw new MayflyError('BUCKET_NOT_FOUND', 'The bucket was deleted')
  return { slot, groupKey: chunkGroupKey(request.bucket, keyString(request.key), request.version) }
}
