import { isError, MayflyError } from '../../protocol/errors.ts'
import { RETRY_MS_MIN } from '../../protocol/limits.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import { PERSISTED_RESOLVE_MS_MAX } from '../../service/persisted/persisted-limits.ts'
import {
  isNewer,
  isSameStamp,
  type PersistedName,
  type PersistedStat,
  type PersistedStore,
  type Stamp,
} from '../../service/persisted/persisted-store.ts'
import type { NodeJob } from '../job/job.ts'
import { type Address, type KeyLocation, locate } from '../job/locate.ts'
import { PersistedState, persistedName } from '../slot/persisted-names.ts'
import type { Slot } from '../slot/slot.ts'
import { encodeMetadata } from '../slot/user-metadata.ts'
import type { PersistedEntry } from './persisted-entry.ts'

/**
 * Changes of a key in the persistent store, each with its own stamp, and of what the slot records about the
 * store. A change has a known outcome, or fails with `OUTCOME_UNKNOWN`.
 */
export class PersistedChanges {
  readonly #store: PersistedStore
  readonly #clock: Clock

  constructor({ store, clock }: { store: PersistedStore; clock: Clock }) {
    this.#store = store
    this.#clock = clock
  }

  /**
   * Writes an object to the persistent store. The slot records an uncertain object before the write starts:
   * while the outcome is unknown, every operation on the key checks the store first.
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
    job.notePersisted()
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
    // Recorded even in a slot that is being released: its next owner needs it.
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

  /**
   * Runs outside the key's mutex: a new bucket of the same name may exist, whose objects have newer stamps
   * and stay.
   */
  async removeFromDeletedBucket(job: NodeJob, entry: Address & { readonly slot: Slot }): Promise<void> {
    const mark = entry.slot.persisted.find(entry)
    if (mark === undefined) return
    const stamp = { bucketId: entry.bucket, version: Number.MAX_SAFE_INTEGER }
    const options = { fence: () => job.requireLease(), contended: true }
    await this.#store.remove(persistedName(job.id, entry.key, mark.name), stamp, options)
    entry.slot.persisted.remove(entry)
  }

  /** Whether a put of unknown outcome was carried out. */
  async #isWritten(name: PersistedName, stamp: Stamp): Promise<boolean> {
    const found = await this.#lookUp(name)
    return found !== undefined && isSameStamp(found?.stamp ?? null, stamp)
  }

  /** Whether a removal of unknown outcome was carried out. */
  async #isRemoved(name: PersistedName, by: Stamp): Promise<boolean> {
    const found = await this.#lookUp(name)
    return found === null || (found !== undefined && isNewer(found.stamp, by))
  }

  /** The stored entry; undefined if the store does not answer for `PERSISTED_RESOLVE_MS_MAX`. */
  async #lookUp(name: PersistedName): Promise<PersistedStat | null | undefined> {
    const clock = this.#clock
    const deadlineMs = clock.monotonicMs() + PERSISTED_RESOLVE_MS_MAX
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

/** Fails before the store makes the bytes visible if this node may no longer serve the slot. */
async function* fenced(job: NodeJob, at: Address, pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece
    locate(job, at)
  }
}
