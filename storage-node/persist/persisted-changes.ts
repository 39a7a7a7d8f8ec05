import { isError, MayflyError } from '../../protocol/errors.ts'
import { RETRY_MS_MIN } from '../../protocol/limits.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import { KEPT_RESOLVE_MS_MAX } from '../../service/kept/kept-limits.ts'
import {
  isNewer,
  isSameStamp,
  type KeptEntry,
  type KeptName,
  type KeptStore,
  type Stamp,
} from '../../service/kept/kept-store.ts'
import type { NodeJob } from '../job/job.ts'
import { type Address, type KeyLocation, locate } from '../job/locate.ts'
import { PersistedState, persistedName } from '../slot/persisted-names.ts'
import type { Slot } from '../slot/slot.ts'
import { encodeMetadata } from '../slot/user-metadata.ts'
import type { PersistedEntry } from './persisted-entry.ts'

/**
 * Changes of what the kept store has of a key, each with a stamp of its own and with what its slot knows about it afterwards. What became
 * of a change is known when it returns, or is `OUTCOME_UNKNOWN`.
 */
export class PersistedChanges {
  readonly #store: KeptStore
  readonly #clock: Clock

  constructor({ store, clock }: { store: KeptStore; clock: Clock }) {
    this.#store = store
    this.#clock = clock
  }

  /**
   * Puts an object into the kept store. From before it is sent the slot knows that something may lie there: as long as nobody can tell
   * what became of it, whatever is done to the key looks there first.
   */
  async put(
    job: NodeJob,
    place: KeyLocation,
    { name, object, pieces }: { name: string; object: PersistedEntry; pieces: AsyncIterable<Buffer> },
  ): Promise<void> {
    const { bucket, slot } = place
    const before = slot.persisted.find(place)
    const version = slot.nextVersion()
    const stamp = { bucketId: bucket, version }
    job.persists = true
    if (before === undefined) slot.persisted.set(place, { name, version, state: PersistedState.uncertain })
    const at = persistedName(job.id, place.key, name)
    try {
      const { bytes, expiresAtMs, metadata } = object
      const about = encodeMetadata(metadata)
      const fence = (): void => void locate(job, place)
      const options = { fence, isNew: before === undefined }
      await this.#store.put(at, { bytes, expiresAtMs, about, stamp }, fenced(job, place, pieces), options)
    } catch (error) {
      const isThere = isError(error, 'OUTCOME_UNKNOWN') ? await this.#isWritten(at, stamp) : false
      if (!isThere) {
        if (before === undefined && !isError(error, 'OUTCOME_UNKNOWN')) slot.persisted.remove(place)
        throw error
      }
    }
    // In the slot as it was, also where it is being given away: its next owner has to know.
    slot.persisted.set(place, { name, version, state: PersistedState.object })
  }

  async remove(job: NodeJob, entry: Address & { readonly slot: Slot }): Promise<void> {
    const mark = entry.slot.persisted.find(entry)
    if (mark === undefined) return
    const name = persistedName(job.id, entry.key, mark.name)
    const stamp = { bucketId: entry.bucket, version: entry.slot.nextVersion() }
    try {
      await this.#store.remove(name, stamp, { fence: () => job.requireLease() })
    } catch (error) {
      if (!isError(error, 'OUTCOME_UNKNOWN') || !(await this.#isRemoved(name, stamp))) throw error
    }
    entry.slot.persisted.remove(entry)
  }

  /** Not in the key's turn: a bucket of the same name may have been made anew, whose objects have newer stamps and stay. */
  async removeFromDeletedBucket(job: NodeJob, entry: Address & { readonly slot: Slot }): Promise<void> {
    const mark = entry.slot.persisted.find(entry)
    if (mark === undefined) return
    const stamp = { bucketId: entry.bucket, version: Number.MAX_SAFE_INTEGER }
    const options = { fence: () => job.requireLease(), contended: true }
    await this.#store.remove(persistedName(job.id, entry.key, mark.name), stamp, options)
    entry.slot.persisted.remove(entry)
  }

  /** Whether a put of unknown outcome was carried out. */
  async #isWritten(name: KeptName, stamp: Stamp): Promise<boolean> {
    const found = await this.#lookUp(name)
    return found !== undefined && isSameStamp(found?.stamp ?? null, stamp)
  }

  /** Whether a removal of unknown outcome was carried out. */
  async #isRemoved(name: KeptName, by: Stamp): Promise<boolean> {
    const found = await this.#lookUp(name)
    return found === null || (found !== undefined && isNewer(found.stamp, by))
  }

  /** What lies there; undefined where the store does not say for `KEPT_RESOLVE_MS_MAX`. */
  async #lookUp(name: KeptName): Promise<KeptEntry | null | undefined> {
    const clock = this.#clock
    const deadlineMs = clock.monotonicMs() + KEPT_RESOLVE_MS_MAX
    for (let pauseMs = RETRY_MS_MIN; ; pauseMs *= 2) {
      try {
        return await this.#store.stat(name)
      } catch (error) {
        if (!(error instanceof MayflyError)) throw error
        if (clock.monotonicMs() + pauseMs > deadlineMs) return undefined
      }
      await sleep(clock, pauseMs)
    }
  }
}

/** Fails before the store makes the bytes visible if the slot may not be served here any more. */
async function* fenced(job: NodeJob, at: Address, pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece
    locate(job, at)
  }
}
