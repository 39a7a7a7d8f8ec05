import { asMayflyError, isError, type MayflyError } from '../../protocol/errors.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../../protocol/limits.ts'
import { hashKey, slotOf } from '../../protocol/model/hash.ts'
import { DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import { backoffMs, type Runtime, sleep } from '../../protocol/runtime.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import {
  RECOVERIES_IN_FLIGHT,
  RECOVERY_PAGE,
  RECOVERY_SILENT_MS_MAX,
} from '../../service/persisted/persisted-limits.ts'
import type { PersistedName, PersistedPage, PersistedStore } from '../../service/persisted/persisted-store.ts'
import type { NodeJob } from '../job/job.ts'
import { tableHash } from '../memory/table-hash.ts'
import { PersistedState } from '../slot/persisted-names.ts'
import { enterPersisted, type RecoverableObject, recoverableOf } from './persisted-entry.ts'

interface RecoveryOptions {
  readonly store: PersistedStore
  readonly runtime: Runtime
  /** Ids of a job's current buckets, by name. */
  readonly bucketIds: (job: NodeJob) => Promise<ReadonlyMap<string, number>>
  readonly warn: (message: string, context: { job: string; reason: string }) => void
}

/** Slots that start at an epoch after an owner died. */
interface LostSlots {
  readonly epoch: number
  readonly slots: ReadonlySet<number>
}

/**
 * Recovers persistent objects into slots whose owner died, as large objects without chunks; each chunk is
 * read from the persistent store on demand. A listing returns names only, and only names in the lost slots
 * are looked up, so all nodes together look up each object once.
 */
export class Recovery {
  readonly #options: RecoveryOptions
  /** By job, epoch and slots. */
  readonly #finding = new Map<string, Promise<RecoverableObject[]>>()

  constructor(options: RecoveryOptions) {
    this.#options = options
  }

  /**
   * The persistent objects in lost slots. The slots are not served meanwhile, so no change is missed;
   * concurrent callers share one result. If the store stops answering, resolves with what it returned so far.
   * Never rejects.
   */
  async find(job: NodeJob, slots: LostSlots): Promise<readonly RecoverableObject[]> {
    const name = `${job.id}/${slots.epoch}/${[...slots.slots].join()}`
    let finding = this.#finding.get(name)
    if (finding === undefined) {
      finding = this.#readStore(job, slots.slots).finally(() => this.#finding.delete(name))
      this.#finding.set(name, finding)
    }
    return await finding
  }

  /** Enters recovered objects into slots that this node has just acquired, under new versions. */
  restore(job: NodeJob, taken: ReadonlySet<number>, objects: readonly RecoverableObject[]): void {
    for (const object of objects) {
      const { bucketId: bucket, version } = object.stamp
      const key = Buffer.from(object.key)
      const hash = hashKey(key, bucket)
      const index = slotOf(hash, job.owned.count)
      const slot = taken.has(index) ? job.owned.touch(index) : undefined
      if (slot === undefined) continue
      const mark = { name: object.bucket, version, state: PersistedState.noRoom }
      // Recorded even if the object has no room, so that a later put replaces it in the store; if its bucket is deleted, so that
      // `dropBuckets` removes it.
      slot.persisted.set({ bucket, key }, mark)
      job.notePersisted()
      if (job.buckets.isDeleted(bucket)) continue
      try {
        enterPersisted(job, { slot, key: { bucket, key, hash: tableHash(key, bucket) } }, object)
        slot.persisted.set({ bucket, key }, { ...mark, state: PersistedState.object })
      } catch (error) {
        if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
        this.#warn(job.id, 'no room to recover a persisted object', error)
      }
    }
  }

  async #readStore(job: NodeJob, slots: ReadonlySet<number>): Promise<RecoverableObject[]> {
    const { bucketIds, store } = this.#options
    const all: RecoverableObject[] = []
    // Without an answer of metadata all names have to be looked up.
    const ids = await bucketIds(job).catch(() => null)
    const firstUnused = ids === null ? 0 : firstDeletedOf(ids.values())
    const isLost = ({ bucket, key }: PersistedName): boolean => {
      const id = ids?.get(bucket)
      // Only the object itself tells the id of a bucket that is deleted by now, also if its name was given again.
      if (id === undefined || id > firstUnused) return true
      return slots.has(slotOf(hashKey(Buffer.from(key), id), job.owned.count))
    }
    for (let after: string | null = ''; after !== null; ) {
      const from: string = after
      const query = { prefix: `${job.id}/`, after: from, limit: RECOVERY_PAGE }
      const page: PersistedPage | null = await this.#retrying(job.id, () => store.list(query))
      if (page === null) return all
      const found = await this.#retrying(job.id, () => this.#describe(page.names.filter(isLost)))
      if (found === null) return all
      all.push(...found)
      after = page.next
    }
    return all
  }

  async #describe(names: readonly PersistedName[]): Promise<RecoverableObject[]> {
    const all: RecoverableObject[] = []
    await runInFlight(names, RECOVERIES_IN_FLIGHT, async (name) => {
      const found = await this.#options.store.describe(name)
      const returning = found === null ? null : recoverableOf(found)
      if (returning !== null) all.push(returning)
    })
    return all
  }

  /** Retries until there is an answer; null if there is none for too long. */
  async #retrying<Answer>(job: string, ask: () => Promise<Answer>): Promise<Answer | null> {
    const { clock, random } = this.#options.runtime
    const deadlineMs = clock.monotonicMs() + RECOVERY_SILENT_MS_MAX
    for (let failures = 0; ; failures++) {
      try {
        return await ask()
      } catch (thrown) {
        const error = asMayflyError(thrown)
        const pauseMs = backoffMs(failures, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random)
        if (clock.monotonicMs() + pauseMs >= deadlineMs) {
          this.#warn(job, 'persisted objects of a job cannot be recovered after the death of a node', error)
          return null
        }
        await sleep(clock, pauseMs)
      }
    }
  }

  #warn(job: string, what: string, { reason }: MayflyError): void {
    this.#options.warn(what, { job, reason })
  }
}

/** The lowest id that was used, or may have been, and that no bucket has now. */
function firstDeletedOf(living: Iterable<number>): number {
  const ids = new Set(living)
  let id = DEFAULT_BUCKET_ID
  while (id === DEFAULT_BUCKET_ID || ids.has(id)) id++
  return id
}
