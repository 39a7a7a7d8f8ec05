import { errorTable, isError, MayflyError } from '../../protocol/errors.ts'
import {
  type DataReplies,
  type DataRequests,
  DeleteResult,
} from '../../protocol/operations/data-operations.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import { KEPT_CHANGES_IN_FLIGHT } from '../../service/kept/kept-limits.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { NodeJob } from '../job/job.ts'
import {
  type BatchObjects,
  checkColumns,
  enterAt,
  keepMany,
  putAt,
  putsAt,
  valuesOf,
} from '../operations/batch.ts'
import { checkKeys, type Objects } from '../operations/objects.ts'
import type { Answer, Persistence } from './persistence.ts'

/**
 * Mutations of many keys, some of which have an object that outlives its job. All others are decided in one step; those follow,
 * each in its turn.
 */
export class PersistenceBatch {
  readonly #keeping: Persistence
  readonly #objects: Objects
  readonly #many: BatchObjects

  constructor(keeping: Persistence, of: { objects: Objects; many: BatchObjects }) {
    this.#keeping = keeping
    this.#objects = of.objects
    this.#many = of.many
  }

  /** As `BatchObjects.put`. */
  put(job: NodeJob, request: DataRequests['putMany'], payload: Buffer): Answer<'putMany'> {
    const concerned = this.#concerned(job, request)
    if (concerned === null) return { head: this.#many.put(job, request, payload) }
    checkColumns(request, payload.length)
    // What the message holds is valid only until this returns.
    const values = valuesOf(request, Buffer.from(payload))
    return this.#put(job, keepMany(request), { concerned, values })
  }

  /** As `Objects.deleteMany`. */
  delete(job: NodeJob, request: DataRequests['deleteMany']): Answer<'deleteMany'> {
    const concerned = this.#concerned(job, request)
    if (concerned === null) return { head: this.#objects.deleteMany(job, request) }
    checkKeys(request.keys)
    return this.#delete(job, request, concerned)
  }

  /** Which keys the kept store has to do with; null where it has with none. */
  #concerned(job: NodeJob, request: { bucket: number; keys: readonly Uint8Array[] }): Set<number> | null {
    if (!job.keeps) return null
    const { bucket, keys } = request
    const concerned = keys.flatMap((key, at) => (this.#keeping.mayConcern(job, { bucket, key }) ? [at] : []))
    return concerned.length === 0 ? null : new Set(concerned)
  }

  async #put(
    job: NodeJob,
    request: DataRequests['putMany'],
    { concerned, values }: { concerned: ReadonlySet<number>; values: readonly Buffer[] },
  ): Promise<Reply<DataReplies['putMany']>> {
    const results = new Uint8Array(values.length)
    const versions = new Array<number>(values.length).fill(0)
    const others = values.flatMap((_, at) => (concerned.has(at) ? [] : [at]))
    const rest = putsAt(request, values, others)
    enterAt({ results, versions }, this.#many.put(job, rest.request, rest.payload), others)
    await runInFlight(concerned, KEPT_CHANGES_IN_FLIGHT, async (at) => {
      const value = values[at] as Buffer
      job.movedBytes += value.length
      try {
        versions[at] = (await this.#keeping.put(job, putAt(request, at), value)).head.version
      } catch (error) {
        if (!(error instanceof MayflyError)) throw error
        results[at] = errorTable[error.code].wire
      }
    })
    return { head: { results, versions } }
  }

  async #delete(
    job: NodeJob,
    request: DataRequests['deleteMany'],
    concerned: ReadonlySet<number>,
  ): Promise<Reply<DataReplies['deleteMany']>> {
    const results = new Uint8Array(request.keys.length)
    const others = request.keys.flatMap((_, at) => (concerned.has(at) ? [] : [at]))
    const keys = others.map((at) => request.keys[at] as Uint8Array)
    const head = this.#objects.deleteMany(job, { ...request, keys })
    others.forEach((at, index) => {
      results[at] = head.results[index] as number
    })
    await runInFlight(concerned, KEPT_CHANGES_IN_FLIGHT, async (at) => {
      results[at] = await this.#deleteOne(job, { ...request, key: request.keys[at] as Uint8Array })
    })
    return { head: { results } }
  }

  async #deleteOne(job: NodeJob, request: DataRequests['delete']): Promise<number> {
    try {
      const { head } = await this.#keeping.delete(job, request)
      return head.existed ? DeleteResult.deleted : DeleteResult.absent
    } catch (error) {
      if (isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE')) return DeleteResult.stale
      throw error
    }
  }
}
