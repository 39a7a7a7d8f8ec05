import { asMayflyError, isError, type MayflyError } from '../protocol/errors.ts'
import { hashKey, slotOf } from '../protocol/hash.ts'
import { runInFlight } from '../protocol/in-flight.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../protocol/limits.ts'
import { manifestOf } from '../protocol/manifest.ts'
import { backoffMs, type Runtime, sleep } from '../protocol/runtime.ts'
import { KEPT_CHANGES_IN_FLIGHT, KEPT_LIST_MAX, KEPT_SILENT_MS_MAX } from '../service/kept/kept-limits.ts'
import { formatName, type KeptEntry, type KeptStore } from '../service/kept/kept-store.ts'
import type { JobSpace } from './job-space.ts'
import { decodeAbout, type KeptAbout } from './kept-about.ts'
import { encodeMetadata } from './metadata.ts'
import { Kind } from './ram/record.ts'
import { type KeyHash, tableHash } from './ram/table-hash.ts'
import type { Slot } from './slot.ts'
import { encodeManifest } from './stored-object.ts'

/** An object that is kept, with all that its job has to know of it. */
export type Returning = KeptEntry & KeptAbout

interface ComebackOptions {
  readonly store: KeptStore
  readonly runtime: Runtime
  readonly warn: (what: string, of: { job: string; reason: string }) => void
}

/**
 * Kept objects come back into slots of their job whose owner died: as large objects, whatever their size, of which no chunk is there yet.
 * Each chunk comes from the kept store when it is asked for.
 */
export class Comeback {
  readonly #options: ComebackOptions
  /** By job and epoch. */
  readonly #looking = new Map<string, Promise<Returning[]>>()

  constructor(options: ComebackOptions) {
    this.#options = options
  }

  /**
   * What is kept of a job. Nobody may serve the slots that begin at `epoch` meanwhile, so that nothing is missed; who asks
   * twice gets the same answer. Where the store stays silent this resolves with what it told before. Never rejects.
   */
  async look(job: string, epoch: number): Promise<readonly Returning[]> {
    const name = `${job}/${epoch}`
    let looking = this.#looking.get(name)
    if (looking === undefined) {
      looking = this.#look(job).finally(() => this.#looking.delete(name))
      this.#looking.set(name, looking)
    }
    return await looking
  }

  /** Enters what falls into slots that were just taken, under new versions. */
  enter(job: JobSpace, taken: ReadonlySet<number>, returning: readonly Returning[]): void {
    for (const object of returning) {
      const { bucketId: bucket } = object
      const key = Buffer.from(object.key)
      const hash = hashKey(key, bucket)
      const index = slotOf(hash, job.owned.count)
      const slot = taken.has(index) ? job.owned.touch(index) : undefined
      if (slot === undefined || job.droppedBuckets.has(bucket)) continue
      // Where its own bytes have no room, it is there to be replaced.
      slot.kept.add({ bucket, key }, object.bucket)
      job.keeps = true
      try {
        job.track(slot, () => enter(job, { slot, of: { bucket, key, hash: tableHash(key, bucket) } }, object))
      } catch (error) {
        if (!isError(error, 'CAPACITY_EXCEEDED')) throw error
        this.#warn(job.id, 'a kept object finds no room in its job', error)
      }
    }
  }

  async #look(job: string): Promise<Returning[]> {
    const { store } = this.#options
    const all: Returning[] = []
    const prefix = `${job}/`
    for (let after = ''; ; ) {
      const page = await this.#persist(job, () => store.list({ prefix, after, limit: KEPT_LIST_MAX }))
      const last = page?.at(-1)
      if (page === null || last === undefined) return all
      const isHeard = await this.#persist(job, async () => {
        const found: Returning[] = []
        await runInFlight(page, KEPT_CHANGES_IN_FLIGHT, async (entry) => {
          const about = decodeAbout((await store.about(entry)) ?? nothing)
          if (about !== null) found.push({ ...entry, ...about })
        })
        all.push(...found)
        return true
      })
      if (isHeard === null) return all
      after = formatName(last)
    }
  }

  /** Asks until the store answers; null if it does not for too long. */
  async #persist<Answer>(job: string, ask: () => Promise<Answer>): Promise<Answer | null> {
    const { clock, random } = this.#options.runtime
    const deadlineMs = clock.monotonicMs() + KEPT_SILENT_MS_MAX
    for (let failures = 0; ; failures++) {
      try {
        return await ask()
      } catch (thrown) {
        const error = asMayflyError(thrown)
        const pauseMs = backoffMs(failures, { msMin: RETRY_MS_MIN, msMax: RETRY_MS_MAX }, random)
        if (clock.monotonicMs() + pauseMs >= deadlineMs) {
          this.#warn(job, 'kept objects of a job do not come back after the death of a node', error)
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

function enter(job: JobSpace, { slot, of }: { slot: Slot; of: KeyHash }, object: Returning): void {
  const version = slot.nextVersion()
  const isEmpty = object.bytes === 0
  const content = isEmpty ? nothing : encodeManifest(manifestOf(object.bytes))
  const entry = {
    version,
    base: version,
    expiresAtMs: object.expiresAtMs,
    metadata: encodeMetadata(object.metadata),
    checksum: null,
    kind: isEmpty ? Kind.value : Kind.manifest,
    bytes: content.length,
    content,
  }
  if (!slot.set(of, entry, undefined)) job.memory.makeRoom(() => slot.set(of, entry, slot.find(of)))
}

const nothing = Buffer.alloc(0)
