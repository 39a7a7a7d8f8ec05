import { isError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { Semaphore } from '../../service/process/locks.ts'
import type { NodeJob } from '../job/job.ts'
import type { Address } from '../job/locate.ts'
import type { Location } from '../memory/record.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import { keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import { TIER_READS_BYTES_MAX } from '../tiers/limits.ts'
import { type SharedRead, SharedReads } from '../tiers/shared-reads.ts'
import type { Demoter } from './demoter.ts'
import { moveToRam } from './storage-location.ts'

/** A range of one version of an object or a chunk. */
interface Wanted {
  /** Identifies the version within its job. */
  readonly name: string
  readonly offset: number
  readonly bytes: number
}

interface Found {
  readonly content: Buffer
  readonly tier: number
}

/** Reads of bytes below RAM. */
export class LowerReads {
  /** By tier, so that a slow tier does not block the others. */
  readonly #reads = new Map<number, Semaphore>()
  readonly #shared: SharedReads<Found | null>
  readonly #demoter: Demoter

  constructor(demotion: Demoter, clock: Clock) {
    this.#shared = new SharedReads(clock)
    this.#demoter = demotion
  }

  /**
   * Reads bytes once for all concurrent callers of the same range, bounded by the tier's semaphore.
   * `locationNow` is called again when the read starts, because the record may have moved; null from it means
   * that the bytes are elsewhere by now, and the result is null. The caller must release the result. Rejects
   * with `OBJECT_LOST` if the tier has lost the bytes, and with `UNAVAILABLE` if it does not answer.
   */
  async read(
    job: NodeJob,
    wanted: Wanted,
    locationNow: () => Location | null,
  ): Promise<SharedRead<Buffer> | null> {
    const before = locationNow()
    if (before === null) return null
    const { name, offset, bytes } = wanted
    const flight = { name: `${offset}/${bytes}/${name}`, bytes }
    const { result, release } = await this.#shared.share(job, flight, () =>
      this.#readsOf(before.tier).run(bytes, async () => {
        const location = locationNow()
        if (location === null) return null
        const content = await job.tiers.read(location, { offset, length: bytes })
        return { content, tier: location.tier }
      }),
    )
    if (result === null) {
      release()
      return null
    }
    job.counters.on(result.tier).hits++
    return { result: result.content, release }
  }

  #readsOf(tier: number): Semaphore {
    let reads = this.#reads.get(tier)
    if (reads === undefined) {
      reads = new Semaphore(TIER_READS_BYTES_MAX)
      this.#reads.set(tier, reads)
    }
    return reads
  }

  /** Whether a hit should be promoted. */
  promotes(job: NodeJob, hit: { tier: number; bytes: number; reads: number }): boolean {
    return this.#demoter.promotes(job, hit)
  }

  /** All bytes of an object were read: promotes it to RAM, if worth it and if there is room. */
  promote(job: NodeJob, entry: { slot: Slot; key: KeyHash }, bytes: Buffer): void {
    const object = entry.slot.find(entry.key)
    if (object === undefined) return
    const { reads } = object
    const { tier } = object.location
    if (!this.promotes(job, { tier, bytes: bytes.length, reads })) return
    let isDone = true
    try {
      moveToRam(job, entry, bytes)
    } catch (error) {
      // The arena is full of other jobs' objects; the object stays on its tier.
      if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
      isDone = false
    }
    countPromotion(job, { tier, bytes: bytes.length, isDone })
  }
}

/** Counts a promotion, or one that found no memory. */
export function countPromotion(job: NodeJob, move: { tier: number; bytes: number; isDone: boolean }): void {
  const from = job.counters.on(move.tier)
  if (!move.isDone) from.droppedMoves++
  else {
    from.promotedObjects++
    from.promotedBytes += move.bytes
  }
}

/** Identifies one version among all reads below RAM. */
export function objectReadName({ bucket, key }: Address, version: number): string {
  return `object/${bucket}/${version}/${keyString(key)}`
}
