import { isError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { NodeJob } from '../job/job.ts'
import type { Address } from '../job/locate.ts'
import type { Location } from '../memory/record.ts'
import type { KeyHash } from '../memory/table-hash.ts'
import { keyString } from '../slot/key-string.ts'
import type { Slot } from '../slot/slot.ts'
import { ReadSemaphore } from '../tiers/read-semaphore.ts'
import { type SharedRead, SharedReads } from '../tiers/shared-reads.ts'
import type { Demoter } from './demoter.ts'
import { moveToRam } from './storage-location.ts'

/** What is read of a version, be it an object or a chunk of one. */
interface Wanted {
  /** Of the version, among all that the job has. */
  readonly name: string
  readonly offset: number
  readonly bytes: number
}

interface Found {
  readonly content: Buffer
  readonly tier: number
}

/** Bytes that lie below RAM, for those who ask for them. */
export class LowerReads {
  /** By tier, so that reads of a slow one hold up no others. */
  readonly #reads = new Map<number, ReadSemaphore>()
  readonly #shared: SharedReads<Found | null>
  readonly #demoter: Demoter

  constructor(demotion: Demoter, clock: Clock) {
    this.#shared = new SharedReads(clock)
    this.#demoter = demotion
  }

  /**
   * Reads in its turn, once for all who ask for the same bytes at a time. `where` is asked again when that has come, for the record that
   * it names then is there; null, of it or of this, is that the bytes lie elsewhere by now. What is given has to be let go of.
   * Rejects with `OBJECT_LOST` where the tier has not kept them, and with `UNAVAILABLE` where it does not answer.
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

  #readsOf(tier: number): ReadSemaphore {
    let reads = this.#reads.get(tier)
    if (reads === undefined) {
      reads = new ReadSemaphore()
      this.#reads.set(tier, reads)
    }
    return reads
  }

  /** Whether a hit pays for bringing the bytes back. */
  promotes(job: NodeJob, hit: { tier: number; bytes: number; reads: number }): boolean {
    return this.#demoter.promotes(job, hit)
  }

  /** All bytes of an object were read: they come back into RAM, if that pays and has room. */
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
      // The arena is full of other jobs' objects: it stays where it is.
      if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
      isDone = false
    }
    countPromotion(job, { tier, bytes: bytes.length, isDone })
  }
}

/** Notes that something came back from a tier into RAM, or found no memory there. */
export function countPromotion(job: NodeJob, move: { tier: number; bytes: number; isDone: boolean }): void {
  const from = job.counters.on(move.tier)
  if (!move.isDone) from.droppedMoves++
  else {
    from.promotedObjects++
    from.promotedBytes += move.bytes
  }
}

/** Of one version, among all that is read below RAM. */
export function objectReadName({ bucket, key }: Address, version: number): string {
  return `object/${bucket}/${version}/${keyString(key)}`
}
