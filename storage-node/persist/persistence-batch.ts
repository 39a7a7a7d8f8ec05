import { errorTable, isError, MayflyError } from '../../protocol/errors.ts'
import {
  type DataReplies,
  type DataRequests,
  DeleteResult,
} from '../../protocol/operations/data-operations.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import type { ByteStrings } from '../../protocol/wire/columns.ts'
import { PERSISTED_CHANGES_IN_FLIGHT } from '../../service/persisted/persisted-limits.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { NodeJob } from '../job/job.ts'
import type { BatchObjects } from '../operations/batch.ts'
import { checkKeys, copyKeys } from '../operations/batch-keys.ts'
import { checkColumns, enterAt, putAt, putsAt, valuesOf } from '../operations/put-columns.ts'
import type { Answer, Persistence } from './persistence.ts'

/**
 * Batched mutations with persistent objects among their keys. All other keys are decided in one step; the
 * persistent ones follow, each in its key's mutex.
 */
export class PersistenceBatch {
  readonly #persistence: Persistence
  readonly #batch: BatchObjects

  constructor(persistence: Persistence, batch: BatchObjects) {
    this.#persistence = persistence
    this.#batch = batch
  }

  /** As `BatchObjects.put`. */
  put(job: NodeJob, request: DataRequests['putMany'], payload: Buffer): Answer<'putMany'> {
    const persisted = this.#persistedIndexes(job, request)
    if (persisted === null) return { head: this.#batch.put(job, request, payload) }
    checkColumns(request, payload.length)
    // The message's memory is valid until this returns.
    const values = valuesOf(request, Buffer.from(payload))
    return this.#put(job, copyKeys(request), { persisted, values })
  }

  /** As `BatchObjects.delete`. */
  delete(job: NodeJob, request: DataRequests['deleteMany']): Answer<'deleteMany'> {
    const persisted = this.#persistedIndexes(job, request)
    if (persisted === null) return { head: this.#batch.delete(job, request) }
    checkKeys(request.keys)
    // The message's memory is valid until this returns.
    return this.#delete(job, copyKeys(request), persisted)
  }

  /** Indexes of keys that may be persisted; null if there are none. */
  #persistedIndexes(job: NodeJob, request: { bucket: number; keys: ByteStrings }): Set<number> | null {
    if (!job.persists) return null
    const { bucket, keys } = request
    const persisted = [...keys].flatMap((key, at) =>
      this.#persistence.mayBePersisted(job, { bucket, key }) ? [at] : [],
    )
    return persisted.length === 0 ? null : new Set(persisted)
  }

  async #put(
    job: NodeJob,
    request: DataRequests['putMany'],
    { persisted, values }: { persisted: ReadonlySet<number>; values: readonly Buffer[] },
  ): Promise<Reply<DataReplies['putMany']>> {
    const results = new Uint8Array(values.length)
    const versions = new Float64Array(values.length)
    const others = values.flatMap((_, at) => (persisted.has(at) ? [] : [at]))
    const rest = putsAt(request, values, others)
    enterAt({ results, versions }, this.#batch.put(job, rest.request, rest.payload), others)
    await runInFlight(persisted, PERSISTED_CHANGES_IN_FLIGHT, async (at) => {
      const value = values[at] as Buffer
      try {
        versions[at] = (await this.#persistence.put(job, putAt(request, at), value)).head.version
      } catch (error) {
        if (!(error instanceof MayflyError)) throw error
        results[at] = errorTable[error.code].wire
      }
    })
    return { head: { results, versions } }
  }

  async #delete(
    job: NodeJob,
    request: DataRequests['deleteMany'] & { readonly keys: readonly Uint8Array[] },
    persisted: ReadonlySet<number>,
  ): Promise<Reply<DataReplies['deleteMany']>> {
    const results = new Uint8Array(request.keys.length)
    const others = request.keys.flatMap((_, at) => (persisted.has(at) ? [] : [at]))
    const keys = others.map((at) => request.keys[at] as Uint8Array)
    const head = this.#batch.delete(job, { ...request, keys })
    others.forEach((at, index) => {
      results[at] = head.results[index] as number
    })
    await runInFlight(persisted, PERSISTED_CHANGES_IN_FLIGHT, async (at) => {
      results[at] = await this.#deleteOne(job, { ...request, key: request.keys[at] as Uint8Array })
    })
    return { head: { results } }
  }

  async #deleteOne(job: NodeJob, request: DataRequests['delete']): Promise<number> {
    try {
      const { head } = await this.#persistence.delete(job, request)
      return head.existed ? DeleteResult.deleted : DeleteResult.absent
    } catch (error) {
      if (isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE')) return DeleteResult.stale
      throw error
    }
  }
}
