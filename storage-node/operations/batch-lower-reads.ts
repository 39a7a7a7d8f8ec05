import { isError, MayflyError } from '../../protocol/errors.ts'
import { MANY_VALUE_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../protocol/limits.ts'
import type { DataReplies, DataRequests } from '../../protocol/operations/data-operations.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import type { Reply } from '../../service/server/handlers.ts'
import type { Peer } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { type KeyLocation, locate } from '../job/locate.ts'
import type { ObjectTable } from '../job/object-table.ts'
import { isDemoted } from '../slot/stored-object.ts'
import { type LowerReads, objectName } from '../tiering/lower-reads.ts'
import { TIER_MANY_IN_FLIGHT } from '../tiers/limits.ts'
import type { SharedRead } from '../tiers/shared-reads.ts'
import { type BatchObjects, type Fetched, keepMany, requestBytes } from './batch.ts'

/** A key whose bytes lie below RAM, with the version that it had. */
interface Wanted {
  readonly at: number
  readonly version: number
  readonly bytes: number
}

/**
 * Gets of many keys, some of which lie below RAM: those are read first, several at a time, and then all are decided in one step.
 * What could not be read is left to a get of its own, which says why.
 */
export class BatchLowerReads {
  readonly #many: BatchObjects
  readonly #table: ObjectTable
  readonly #below: LowerReads

  constructor(many: BatchObjects, of: { table: ObjectTable; below: LowerReads }) {
    this.#many = many
    this.#table = of.table
    this.#below = of.below
  }

  /** As `BatchObjects.get`. */
  get(
    job: NodeJob,
    request: DataRequests['getMany'],
    peer: Peer,
  ): Reply<DataReplies['getMany']> | Promise<Reply<DataReplies['getMany']>> {
    const wanted = job.spills ? this.#wanted(job, request) : []
    if (wanted.length === 0) return this.#many.get(job, request)
    // What the message holds is valid only until this returns.
    const kept = keepMany(request)
    const bytes = wanted.reduce((sum, one) => sum + one.bytes, requestBytes(kept))
    return job.underWay.answer(peer, bytes, () => this.#read(job, kept, wanted))
  }

  /** As far as the answer has room for them. */
  #wanted(job: NodeJob, { bucket, keys }: DataRequests['getMany']): Wanted[] {
    let room = PAYLOAD_BYTES_MAX
    return keys.flatMap((key, at) => {
      const place = this.#locate(job, { bucket, key })
      const object = place === null ? undefined : this.#table.find(job, place)
      if (object === undefined || object.bytes > Math.min(room, MANY_VALUE_BYTES_MAX)) return []
      room -= object.bytes
      return isDemoted(object) ? [{ at, version: object.version, bytes: object.bytes }] : []
    })
  }

  async #read(
    job: NodeJob,
    request: DataRequests['getMany'],
    wanted: readonly Wanted[],
  ): Promise<Reply<DataReplies['getMany']>> {
    const fetched = new Map<number, Fetched & { release(): void }>()
    const sent = (): void => {
      for (const { release } of fetched.values()) release()
    }
    try {
      await runInFlight(wanted, TIER_MANY_IN_FLIGHT, async (one) => {
        const read = await this.#readOne(job, request, one)
        if (read === null) return
        fetched.set(one.at, { version: one.version, payload: read.result, release: read.release })
      })
      return { ...this.#many.get(job, request, fetched), sent }
    } catch (error) {
      sent()
      throw error
    }
  }

  /** Null where the bytes lie elsewhere by now, or could not be read. */
  async #readOne(
    job: NodeJob,
    { bucket, keys }: DataRequests['getMany'],
    { at, version, bytes }: Wanted,
  ): Promise<SharedRead<Buffer> | null> {
    const address = { bucket, key: keys[at] as Uint8Array }
    const wanted = { offset: 0, bytes, name: objectName(address, version) }
    const find = () => {
      const place = this.#locate(job, address)
      const object = place === null ? undefined : this.#table.find(job, place)
      return place !== null && object?.version === version && isDemoted(object) ? { place, object } : null
    }
    try {
      const read = await this.#below.read(job, wanted, () => find()?.object.location ?? null)
      const found = find()
      if (read === null || found === null) return read
      job.counters.readAgain(found.object.reads++)
      this.#below.promote(job, { slot: found.place.slot, of: found.place }, read.result)
      return read
    } catch (error) {
      if (!(error instanceof MayflyError) || error.code === 'INTERNAL') throw error
      return null
    }
  }

  /** Null where the node may not serve the key's slot. */
  #locate(job: NodeJob, at: { bucket: number; key: Uint8Array }): KeyLocation | null {
    try {
      return locate(job, at)
    } catch (error) {
      if (isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE', 'JOB_ENDED')) return null
      throw error
    }
  }
}
