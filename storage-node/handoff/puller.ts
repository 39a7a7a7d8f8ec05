import { assert } from '../../protocol/assert.ts'
import { asMayflyError, isError, isOwnFault, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, PAYLOAD_BYTES_MAX, RETRY_MS_MAX, RETRY_MS_MIN } from '../../protocol/limits.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import { MISSING, NO_CHUNK, peerOperations } from '../../protocol/operations/plane-operations.ts'
import { backoffMs, type Runtime, sleep } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { Background } from '../../service/process/background.ts'
import { Semaphore } from '../../service/process/locks.ts'
import type { NodeJob } from '../job/job.ts'
import { PULL_BATCH_BYTES, PULL_BYTES_PER_SECOND, PULL_ITEMS_MAX, PULLS_MAX } from '../limits.ts'
import { bytesApart, type Location } from '../memory/record.ts'
import { DemotedChunk, LostChunk } from '../slot/chunks.ts'
import { keyBytes, keyHash } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import { isExpired, objectCharge } from '../slot/stored-object.ts'
import { moveToLowerTier, moveToPersisted, moveToRam } from '../tiering/storage-location.ts'
import { RAM } from '../tiers/job-tiers.ts'
import { TIER_READS_BYTES_MAX } from '../tiers/limits.ts'
import { SharedReads } from '../tiers/shared-reads.ts'
import { type RemoteEntry, remoteEntries, stillRemote } from './remote-entries.ts'

type Item = RequestOf<typeof peerOperations.pull>['items'][number]

/** How long a get of a remote entry waits before its client is told to retry. */
const FETCH_MS_MAX = CONTROL_CALL_MS

/**
 * Fetches the bytes of slots that were handed over: requested entries at once, the rest in the background at
 * a bounded rate. Bytes of an entry that has changed meanwhile are dropped.
 */
export class Puller {
  readonly #pool: CallerPool
  readonly #runtime: Runtime
  readonly #background: Background
  #stopped = false
  /** Background pulls of all slots, bounded so that reads come first. */
  readonly #pulls = new Semaphore(PULLS_MAX)
  /** Requested entries. */
  readonly #shared: SharedReads<void>
  /** By address of the source node, so that an unresponsive one does not block the others. */
  readonly #fetches = new Map<string, Semaphore>()

  constructor(options: { pool: CallerPool; runtime: Runtime; background: Background }) {
    this.#pool = options.pool
    this.#runtime = options.runtime
    this.#shared = new SharedReads(options.runtime.clock)
    this.#background = options.background
  }

  stop(): void {
    this.#stopped = true
  }

  /**
   * Pulls all remote entries of a slot until none is left, the slot is no longer owned, or its job has ended.
   * Never rejects.
   */
  async pullSlot(job: NodeJob, index: number): Promise<void> {
    const slot = job.slots[index]
    if (slot === undefined) return
    const { clock, random } = this.#runtime
    for (let failures = 0; this.#isWanted(job, index, slot); ) {
      try {
        await this.#pulls.run(1, async () => {
          if (!this.#isWanted(job, index, slot)) return
          const bytes = await this.#pullBatch(job, index, slot)
          await sleep(clock, (bytes * 1000) / PULL_BYTES_PER_SECOND)
        })
        failures = 0
        this.#background.succeeded(['pull', job.id])
      } catch (error) {
        if (!job.ended) this.#background.failed(['pull', job.id], error)
        await sleep(clock, backoffMs(failures++, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random))
      }
    }
    // What failed last may not be wanted any more.
    this.#background.succeeded(['pull', job.id])
  }

  /**
   * Fetches one requested entry, shared by concurrent callers and bounded in bytes. Rejects with
   * `UNAVAILABLE` if its source cannot be reached in time.
   */
  async fetch(job: NodeJob, index: number, item: RemoteEntry): Promise<void> {
    const slot = job.slots[index]
    if (slot === undefined) return
    const { bucket, key, version, chunk } = item
    const name = `${index}/${slot.epoch}/${chunk?.index ?? ''}/${bucket}/${version}/${key}`
    const deadlineMs = this.#runtime.clock.monotonicMs() + FETCH_MS_MAX
    const { release } = await this.#shared.share(job, { name, bytes: item.bytes }, () =>
      this.#fetchesFrom(slot.source).run(item.bytes, () =>
        this.#fetch(job, { index, slot, item, deadlineMs }),
      ),
    )
    release()
  }

  #fetchesFrom(source: string): Semaphore {
    let fetches = this.#fetches.get(source)
    if (fetches === undefined) {
      fetches = new Semaphore(TIER_READS_BYTES_MAX)
      this.#fetches.set(source, fetches)
    }
    return fetches
  }

  async #fetch(
    job: NodeJob,
    target: { index: number; slot: Slot; item: RemoteEntry; deadlineMs: number },
  ): Promise<void> {
    const { index, slot, item, deadlineMs } = target
    const { clock, random } = this.#runtime
    if (this.#stopped) throw new MayflyError('UNAVAILABLE', 'The node is stopping')
    for (let failures = 0; this.#isWanted(job, index, slot) && stillRemote(slot, item); ) {
      try {
        await this.#pullWhole(job, { index, slot, item })
      } catch (error) {
        if (isOwnFault(error)) throw error
        const pauseMs = backoffMs(failures++, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random)
        if (clock.monotonicMs() + pauseMs >= deadlineMs) {
          const { reason } = asMayflyError(error)
          throw new MayflyError('UNAVAILABLE', `The node that has the bytes cannot be reached: ${reason}`)
        }
        await sleep(clock, pauseMs)
      }
    }
  }

  #isWanted(job: NodeJob, index: number, slot: Slot): boolean {
    if (this.#stopped || job.ended) return false
    return job.slots[index] === slot && slot.source !== '' && !slot.isComplete
  }

  /** Fetches as many small entries as one answer holds, or one large one. Returns the bytes received. */
  async #pullBatch(job: NodeJob, index: number, slot: Slot): Promise<number> {
    const batch: RemoteEntry[] = []
    let room = PULL_BATCH_BYTES
    for (const item of remoteEntries(slot)) {
      if (batch.length > 0 && (item.bytes > room || batch.length >= PULL_ITEMS_MAX)) break
      batch.push(item)
      room -= item.bytes
    }
    const [first] = batch
    // Throwing backs off; otherwise the loop would spin.
    if (first === undefined) throw new MayflyError('UNAVAILABLE', 'No entry of the slot is to be pulled')
    if (first.bytes > PAYLOAD_BYTES_MAX) return await this.#pullWhole(job, { index, slot, item: first })
    const pieces = await this.#pull(
      job,
      { index, slot },
      batch.map((item) => wireItem(item, 0)),
    )
    const whole = batch.flatMap((item, at) => {
      const bytes = pieces[at] ?? null
      return bytes !== null && bytes.length < item.bytes ? [] : [{ item, bytes }]
    })
    await Promise.all(whole.map((arrived) => arrive(job, slot, arrived)))
    return whole.reduce((sum, { item }) => sum + item.bytes, 0)
  }

  async #pullWhole(job: NodeJob, target: { index: number; slot: Slot; item: RemoteEntry }): Promise<number> {
    const { slot, item } = target
    const pieces: Buffer[] = []
    for (let offset = 0; offset < item.bytes; ) {
      const [piece] = await this.#pull(job, target, [wireItem(item, offset)])
      if (piece === undefined || piece === null || piece.length === 0) {
        await arrive(job, slot, { item, bytes: null })
        return 0
      }
      pieces.push(piece)
      offset += piece.length
    }
    const bytes = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
    await arrive(job, slot, { item, bytes })
    return item.bytes
  }

  /** The bytes of each item; null if the source has none. */
  async #pull(
    job: NodeJob,
    target: { index: number; slot: Slot },
    items: readonly Item[],
  ): Promise<(Buffer | null)[]> {
    const caller = await this.#pool.to(target.slot.source)
    const request = { job: job.id, slot: target.index, epoch: target.slot.epoch, items }
    const deadlineMs = this.#runtime.clock.monotonicMs() + CONTROL_CALL_MS
    const { head, payload } = await caller.call(peerOperations.pull, request, { deadlineMs })
    const expected = head.bytes.reduce((sum, length) => sum + (length === MISSING ? 0 : length), 0)
    // A missing piece would count as lost.
    if (head.bytes.length !== items.length || expected !== payload.length)
      throw violation(`${head.bytes.length} pieces of ${expected} bytes are no answer to ${items.length}`)
    let offset = 0
    return head.bytes.map((length) => {
      if (length === MISSING) return null
      const piece = payload.subarray(offset, offset + length)
      offset += length
      return piece
    })
  }
}

function wireItem({ bucket, key, version, chunk }: RemoteEntry, offset: number): Item {
  return { bucket, key: keyBytes(key), version, chunk: chunk?.index ?? NO_CHUNK, offset }
}

interface Arrived {
  readonly item: RemoteEntry
  readonly bytes: Buffer | null
}

/**
 * As `fill`, on the tier that has room reserved for the entry. If that tier fails, the bytes go to RAM if the
 * job has room there; otherwise it rejects, and the entry stays remote.
 */
async function arrive(job: NodeJob, slot: Slot, { item, bytes }: Arrived): Promise<void> {
  if (item.tier === RAM || bytes === null) return fill(job, slot, { item, bytes })
  let location: Location
  try {
    location = await job.tiers.write(item.tier, bytes)
  } catch (error) {
    if (!isError(error, 'CAPACITY_EXCEEDED', 'UNAVAILABLE')) throw error
    job.admit(bytesApart(bytes.length) || bytes.length)
    return fill(job, slot, { item, bytes })
  }
  if (!stillRemote(slot, item)) return job.tiers.remove(location)
  try {
    enterLower(job, slot, { item, location })
  } catch (error) {
    job.tiers.remove(location)
    throw error
  }
}

function enterLower(
  job: NodeJob,
  slot: Slot,
  { item, location }: { item: RemoteEntry; location: Location },
): void {
  const { bucket, key, chunk } = item
  if (chunk === null) return moveToLowerTier(job, { slot, key: keyHash(bucket, key) }, location)
  const { groupKey, index } = chunk
  const group = slot.chunks.groups.get(groupKey)
  assert(group !== undefined, 'a remote chunk is in its group')
  const checksum = group.checksums.get(index) ?? null
  const below = new DemotedChunk(item.bytes, location, 0)
  job.track(slot, () => slot.chunks.set(group, { groupKey, index, checksum }, below))
}

/**
 * Stores received bytes in their entry if it is unchanged; null marks it lost. Throws `CAPACITY_EXCEEDED` if
 * the node has no memory; the entry then stays remote.
 */
export function fill(job: NodeJob, slot: Slot, arrived: Arrived): void {
  const { item, bytes } = arrived
  if (!stillRemote(slot, item)) return
  if (item.chunk !== null) fillChunk(job, slot, { item, bytes })
  else if (bytes === null) markObjectLost(job, slot, item)
  else fillObject(job, slot, { item, bytes })
}

function fillChunk(job: NodeJob, slot: Slot, { item, bytes }: Arrived): void {
  const { groupKey, index } = item.chunk ?? { groupKey: '', index: 0 }
  const group = slot.chunks.groups.get(groupKey)
  if (group === undefined) return
  const after = bytes === null ? new LostChunk() : slot.chunks.write(bytes)
  const checksum = group.checksums.get(index) ?? null
  job.track(slot, () => slot.chunks.set(group, { groupKey, index, checksum }, after))
}

function markObjectLost(job: NodeJob, slot: Slot, { bucket, key }: RemoteEntry): void {
  const hash = keyHash(bucket, key)
  const object = slot.find(hash)
  if (object === undefined) return
  if (slot.persisted.hasObject(hash)) {
    try {
      return moveToPersisted(job, { slot, key: hash })
    } catch (error) {
      if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
    }
  }
  job.charge(-objectCharge(object))
  job.countObjects(-1)
  slot.objects.remove(hash, object)
  // An expired object is not lost: readers were told that it does not exist.
  if (!isExpired(object, job.wallMs)) slot.markLost(hash)
}

function fillObject(job: NodeJob, slot: Slot, { item, bytes }: { item: RemoteEntry; bytes: Buffer }): void {
  job.memory.compactIfSparse()
  moveToRam(job, { slot, key: keyHash(item.bucket, item.key) }, bytes)
}
