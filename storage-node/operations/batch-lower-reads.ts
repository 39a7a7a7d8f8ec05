import { isError, MayflyError } from '../../protocol/errors.ts'
import { MANY_VALUE_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../protocol/limits.ts'
import type { DataReplies, DataRequests } from '../../protocol/operations/data-operations.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Peer } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { type KeyLocation, locate, locateAgain } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { isDemoted, type StoredObject } from '../slot/stored-object.ts'
import { type LowerReads, objectReadName } from '../tiering/lower-reads.ts'
import { TIER_MANY_IN_FLIGHT } from '../tiers/limits.ts'
import type { SharedRead } from '../tiers/shared-reads.ts'
import type { BatchObjects, Fetched } from './batch.ts'
import { copyKeys, requestBytes } from './batch-keys.ts'

/** A key whose bytes are below RAM, with its version. */
interface LowerKey {
  /** In the request. */
  readonly at: number
  readonly place: KeyLocation
  readonly version: number
  readonly bytes: number
}

/**
 * Batched gets with keys below RAM: reads those first, several at a time, then decides all keys in one step.
 * A key that could not be read is left to a get of its own, which reports the error.
 */
export class BatchLowerReads {
  readonly #batch: BatchObjects
  readonly #table: ObjectTable
  readonly #lowerReads: LowerReads

  constructor(batch: BatchObjects, deps: { table: ObjectTable; lowerReads: LowerReads }) {
    this.#batch = batch
    this.#table = deps.table
    this.#lowerReads = deps.lowerReads
  }

  /** As `BatchObjects.get`. */
  get(
    job: NodeJob,
    request: DataRequests['getMany'],
    peer: Peer,
  ): Reply<DataReplies['getMany']> | Promise<Reply<DataReplies['getMany']>> {
    const found = job.spills ? this.#lowerKeys(job, request) : []
    if (found.length === 0) return this.#batch.get(job, request)
    // The message's memory is valid until this returns.
    const copied = copyKeys(request)
    const wanted = found.map((one) => ({
      ...one,
      place: { ...one.place, key: copied.keys.at(one.at) as Uint8Array },
    }))
    const bytes = wanted.reduce((sum, one) => sum + one.bytes, requestBytes(copied))
    return job.underWay.answer(peer, bytes, () => this.#read(job, copied, wanted))
  }

  /** The keys below RAM for which the answer has room. */
  #lowerKeys(job: NodeJob, { bucket, keys }: DataRequests['getMany']): LowerKey[] {
    let room = PAYLOAD_BYTES_MAX
    return [...keys].flatMap((key, at) => {
      const found = this.#find(job, () => locate(job, { bucket, key }))
      if (found === null || found.object.bytes > Math.min(room, MANY_VALUE_BYTES_MAX)) return []
      const { place, object } = found
      room -= object.bytes
      return isDemoted(object) ? [{ at, place, version: object.version, bytes: object.bytes }] : []
    })
  }

  async #read(
    job: NodeJob,
    request: DataRequests['getMany'],
    keys: readonly LowerKey[],
  ): Promise<Reply<DataReplies['getMany']>> {
    const fetched = new Map<number, Fetched & { release(): void }>()
    const sent = (): void => {
      for (const { release } of fetched.values()) release()
    }
    try {
      await runInFlight(keys, TIER_MANY_IN_FLIGHT, async (one) => {
        const read = await this.#readOne(job, one)
        if (read === null) return
        fetched.set(one.at, { version: one.version, payload: read.result, release: read.release })
      })
      return { ...this.#batch.get(job, request, fetched), sent }
    } catch (error) {
      sent()
      throw error
    }
  }

  /** Null if the bytes are elsewhere by now, or could not be read. */
  async #readOne(job: NodeJob, { place, version, bytes }: LowerKey): Promise<SharedRead<Buffer> | null> {
    const wanted = { offset: 0, bytes, name: objectReadName(place, version) }
    const find = () => {
      const found = this.#find(job, () => locateAgain(job, place))
      return found?.object.version === version && isDemoted(found.object) ? found : null
    }
    try {
      const read = await this.#lowerReads.read(job, wanted, () => find()?.object.location ?? null)
      const found = find()
      if (read === null || found === null) return read
      job.counters.readAgain(found.object.reads++)
      this.#lowerReads.promote(job, { slot: found.place.slot, key: found.place }, read.result)
      return read
    } catch (error) {
      if (!(error instanceof MayflyError) || error.code === 'INTERNAL') throw error
      return null
    }
  }

  /** Null if the key has no object, or if this node may not serve its slot. */
  #find(job: NodeJob, locateKey: () => KeyLocation): { place: KeyLocation; object: StoredObject } | null {
    try {
      const place = locateKey()
      const object = this.#table.find(job, place)
      return object === undefined ? null : { place, object }
    } catch (error) {
      if (isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE', 'JOB_ENDED')) return null
      throw error
    }
  }
}
