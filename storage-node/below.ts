import { isError } from '../protocol/errors.ts'
import type { Demotion } from './demotion.ts'
import { bringHere } from './elsewhere.ts'
import type { JobSpace } from './job-space.ts'
import type { Location } from './ram/record.ts'
import type { KeyHash } from './ram/slot-table.ts'
import type { Slot } from './slot.ts'
import { TierReads } from './tier-reads.ts'

/** Bytes that lie below RAM, for those who ask for them. */
export class Below {
  /** By tier, so that reads of a slow one hold up no others. */
  readonly #reads = new Map<number, TierReads>()
  readonly #demotion: Demotion

  constructor(demotion: Demotion) {
    this.#demotion = demotion
  }

  /**
   * Reads in its turn. `where` is asked again when that has come, for the record that it names then is there; null, of it or of
   * this, is that the bytes lie elsewhere by now. Rejects with `OBJECT_LOST` where the tier has not kept them, and with
   * `UNAVAILABLE` where it does not answer.
   */
  async read(
    job: JobSpace,
    { offset, bytes }: { offset: number; bytes: number },
    where: () => Location | null,
  ): Promise<Buffer | null> {
    const before = where()
    if (before === null) return null
    return await this.#readsOf(before.tier).run(bytes, async () => {
      const location = where()
      return location === null ? null : await job.tiers.read(location, { offset, length: bytes })
    })
  }

  #readsOf(tier: number): TierReads {
    let reads = this.#reads.get(tier)
    if (reads === undefined) {
      reads = new TierReads()
      this.#reads.set(tier, reads)
    }
    return reads
  }

  /** Whether a hit pays for bringing the bytes back. */
  promotes(job: JobSpace, hit: { tier: number; bytes: number; reads: number }): boolean {
    return this.#demotion.promotes(job, hit)
  }

  /** All bytes of an object were read: they come back into RAM, if that pays and has room. */
  promote(job: JobSpace, at: { slot: Slot; of: KeyHash }, bytes: Buffer): void {
    const object = at.slot.find(at.of)
    if (object === undefined) return
    const { reads } = object
    if (!this.promotes(job, { tier: object.location.tier, bytes: bytes.length, reads })) return
    try {
      bringHere(job, at, bytes)
    } catch (error) {
      // The arena is full of other jobs' objects: it stays where it is.
      if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
    }
  }
}
