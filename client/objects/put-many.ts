import { asMayflyError, errorCodeOf, errorTable, hasBrand, MayflyError } from '../../protocol/errors.ts'
import {
  HEAD_BYTES_MAX,
  MANY_IN_FLIGHT,
  MANY_KEYS_MAX,
  MANY_VALUE_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
} from '../../protocol/limits.ts'
import { dataOperations, PutCondition } from '../../protocol/operations/data-operations.ts'
import type { ReplyOf, RequestOf } from '../../protocol/operations/operation.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import { batchesOf } from '../routing/batches.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Router } from '../routing/router.ts'
import { checksumOf } from './integrity.ts'
import type { ObjectFields } from './object-fields.ts'
import { putObject } from './put.ts'

/** The result of one entry of a `putMany`. */
export type PutOutcome = { readonly version: number } | MayflyError

/** Identifies the class over several copies of the module, as the brand of `MayflyError` does. */
const brand = Symbol.for('mayfly.PutManyError')

/**
 * Some entries of a `putMany` were not stored. `code` is the code of the first of them. `outcomes` has the version or the error of each entry, in the order of
 * the entries.
 */
export class PutManyError extends MayflyError {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasBrand(value, brand)
  }

  readonly outcomes: readonly PutOutcome[]

  get [brand](): true {
    return true
  }

  constructor(first: MayflyError, outcomes: readonly PutOutcome[]) {
    const failed = outcomes.filter((outcome) => outcome instanceof MayflyError).length
    super(first.code, `${failed} of ${outcomes.length} entries failed; the first: ${first.reason}`, {
      cause: first,
    })
    this.outcomes = outcomes
  }
}

/** One object of a `putMany`, encoded for the wire. */
export interface Entry {
  readonly at: KeyAddress
  readonly bytes: Uint8Array
  readonly fields: ObjectFields
}

interface PutMany {
  readonly checksums: boolean
  readonly bounds: Deadline
}

/** An entry with its position in the result and the hash of its key. */
interface Put extends Entry {
  readonly index: number
  readonly hash: number
}

/** Bytes of an entry in the message's head besides key and metadata: lengths, version, times. */
const ENTRY_HEAD_BYTES = 32

/** Small objects share a message of up to the size of a payload. */
const limits = {
  itemsMax: MANY_KEYS_MAX,
  bytesMax: Math.min(PAYLOAD_BYTES_MAX, HEAD_BYTES_MAX),
  bytesOf: ({ bytes, at, fields }: Put) => Math.max(bytes.length, headBytes(at.key, fields.metadata)),
}

/**
 * Stores objects in one message per node and MiB. Entries are stored or rejected independently. Resolves with the versions in the order of the entries, or
 * throws `PutManyError`.
 */
export async function putEntries(
  router: Router,
  entries: readonly Entry[],
  call: PutMany,
): Promise<{ version: number }[]> {
  const outcomes = new Array<PutOutcome>(entries.length)
  const puts = entries.map(({ at, bytes, fields }, index) => ({ at, bytes, fields, index, hash: at.hash }))
  await new Store(router, call, outcomes).all(puts)
  const first = outcomes.find((outcome) => outcome instanceof MayflyError)
  if (first instanceof MayflyError) throw new PutManyError(first, outcomes)
  return outcomes as { version: number }[]
}

class Store {
  readonly #router: Router
  readonly #call: PutMany
  readonly #outcomes: PutOutcome[]

  constructor(router: Router, call: PutMany, outcomes: PutOutcome[]) {
    this.#router = router
    this.#call = call
    this.#outcomes = outcomes
  }

  /** Never rejects: an error becomes the outcome of its entries. */
  async all(puts: readonly Put[]): Promise<void> {
    const small = puts.filter((put) => !travelsAlone(put))
    const alone = small.length === puts.length ? [] : puts.filter(travelsAlone)
    const messages = [...batchesOf(this.#router, small, limits), ...alone.map((put) => [put])]
    await runInFlight(messages, MANY_IN_FLIGHT, (batch) => this.#batch(batch))
  }

  async #batch(batch: readonly Put[]): Promise<void> {
    try {
      const [first] = batch
      if (first === undefined) return
      if (travelsAlone(first)) {
        this.#outcomes[first.index] = await this.#alone(first)
        return
      }
      const { results, versions } = await this.#send(first, batch)
      const stale: Put[] = []
      for (let at = 0; at < batch.length; at++) {
        const put = batch[at] as Put
        const result = results[at] as number
        if (isStale(result)) stale.push(put)
        else if (result === 0) this.#outcomes[put.index] = { version: versions[at] as number }
        else
          this.#outcomes[put.index] = new MayflyError(errorCodeOf(result), `'${put.at.key}' was not stored`)
      }
      if (stale.length > 0) await this.all(stale)
    } catch (thrown) {
      const error = asMayflyError(thrown)
      for (const { index } of batch) this.#outcomes[index] ??= error
    }
  }

  async #alone({ at, bytes, fields }: Put): Promise<{ version: number }> {
    return await putObject(this.#router, at, { bytes, ...fields, ...this.#call })
  }

  async #send(first: Put, batch: readonly Put[]): Promise<ReplyOf<typeof dataOperations.putMany>> {
    const router = this.#router
    const { checksums, bounds } = this.#call
    const columns = columnsOf(batch, checksums)
    const payload = batch.map(({ bytes }) => bytes)
    return await router.retry(bounds, router.slotOf(first.hash), async (caller, placement, owner) => {
      const { head } = await router.mutateAt({ caller, placement, owner }, dataOperations.putMany, {
        request: (sent) => ({ ...sent, bucket: first.at.bucket, ...columns }),
        payload,
        ...bounds,
      })
      if (head.results.length !== batch.length || head.versions.length !== batch.length)
        throw new MayflyError('PROTOCOL_VIOLATION', 'An answer to many puts is not as long as the question')
      if (head.results.some((result) => !isStale(result))) return head
      const isFull = head.results.some((result) => result === errorTable.UNAVAILABLE.wire)
      throw isFull
        ? new MayflyError(
            'UNAVAILABLE',
            'The node could store none of the entries yet, as where the job is full',
          )
        : new MayflyError('STALE_PLACEMENT', 'The node owns none of the slots')
    })
  }
}

/** A put with `persist` waits for the persistent store and would delay the other entries of its message. */
function travelsAlone({ bytes, fields }: Put): boolean {
  return bytes.length > MANY_VALUE_BYTES_MAX || fields.keptBucket !== ''
}

/** The node was not the owner and changed nothing: the entry is sent to the slot's owner. */
function isStale(result: number): boolean {
  return result === errorTable.STALE_PLACEMENT.wire || result === errorTable.UNAVAILABLE.wire
}

type Columns = Omit<RequestOf<typeof dataOperations.putMany>, 'epoch' | 'bucket' | 'lane' | 'sequence'>

/** One list for each field; the list is empty if the field is unset in all entries. */
function columnsOf(batch: readonly Put[], checksums: boolean): Columns {
  const column = <T>(of: (put: Put) => T, says: (value: T) => boolean): T[] =>
    batch.some((put) => says(of(put))) ? batch.map(of) : []
  return {
    keys: batch.map(({ at }) => at.key),
    lengths: batch.map(({ bytes }) => bytes.length),
    conditions: column(
      ({ fields }) => fields.condition,
      (condition) => condition !== PutCondition.always,
    ),
    ifVersions: column(
      ({ fields }) => fields.ifVersion,
      (version) => version !== 0,
    ),
    ttlSeconds: column(
      ({ fields }) => fields.ttlSeconds,
      (seconds) => seconds !== 0,
    ),
    metadata: column(
      ({ fields }) => fields.metadata,
      (metadata) => metadata.length > 0,
    ),
    checksums: checksums ? batch.map(({ bytes }) => checksumOf(bytes, true)) : [],
  }
}

/** An upper bound of the entry's bytes in the head of its message. */
export function headBytes(key: Uint8Array, metadata: ObjectFields['metadata']): number {
  return metadata.reduce(
    (sum, { name, value }) => sum + 4 + Buffer.byteLength(name) + Buffer.byteLength(value),
    ENTRY_HEAD_BYTES + key.length,
  )
}
