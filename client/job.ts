import { dataOperations, tiers } from '../protocol/data-operations.ts'
import { isError, MayflyError } from '../protocol/errors.ts'
import { DEFAULT_BUCKET, encodeKey } from '../protocol/keys.ts'
import { CALL_MS_DEFAULT, CHUNK_BYTES, OBJECT_BYTES_MAX } from '../protocol/limits.ts'
import type { Dial } from '../protocol/link.ts'
import { type Runtime, systemRuntime } from '../protocol/runtime.ts'
import { dialTcp } from '../protocol/tcp.ts'
import { parseTicket } from '../protocol/ticket.ts'
import { type Bounds, boundsOf } from './bounds.ts'
import { Buckets } from './buckets.ts'
import { deleteKeys } from './delete-many.ts'
import { addressOf, type KeyAddress, putLarge } from './large-object.ts'
import { type ListEntry, listPage } from './listing.ts'
import {
  type CallerOptions,
  checkCondition,
  checkMetadata,
  checkOptions,
  checkTtl,
  checkWait,
  type GetOptions,
  type KeyOptions,
  type ListOptions,
  type PutOptions,
} from './options.ts'
import { getObject } from './reading.ts'
import type { Sent } from './routed-call.ts'
import { Router } from './router.ts'

export interface ObjectStat {
  readonly key: string
  /** Of the object, without key and metadata. */
  readonly bytes: number
  /** Names this put of the key: another put, another version. */
  readonly version: number
  /** Where the bytes lie. */
  readonly tier: 'ram' | 'ssd' | 's3'
  /** When its time to live is over, or null. */
  readonly expiresAt: Date | null
  readonly metadata: Readonly<Record<string, string>>
}

/** What the simulation puts in the place of the clock, of chance and of the network. */
export interface World {
  readonly runtime: Runtime
  readonly dial: Dial
}

const realWorld: World = { runtime: systemRuntime, dial: dialTcp }

/**
 * Opens a job from its ticket. Nothing is connected before the first call needs it. Throws `UNAUTHENTICATED` for a
 * string that is no ticket.
 */
export async function openJob(ticket: string): Promise<Job> {
  return new Job(ticket, realWorld)
}

/**
 * One job, as a function sees it. Every call fails with a `MayflyError`: the ones that any call may meet are
 * `UNAUTHENTICATED`, `TICKET_EXPIRED`, `JOB_ENDED`, `UNAVAILABLE`, `DEADLINE_EXCEEDED` and `ABORTED`.
 */
export class Job {
  readonly #router: Router
  readonly #buckets: Buckets

  constructor(ticket: string, world: World) {
    this.#router = new Router(parseTicket(ticket), world)
    this.#buckets = new Buckets(this.#router)
  }

  /**
   * Stores an object of up to 1 TiB under a key of 1 to 1,024 bytes of UTF-8. It is visible, whole, when this
   * resolves, and not at all if this rejects, except with `OUTCOME_UNKNOWN`: then its node died before it answered.
   * Also `CAPACITY_EXCEEDED`, and `KEY_EXISTS` with `ifAbsent`. `bytes` must not change until it resolves.
   */
  async put(key: string, bytes: Uint8Array | string, options: PutOptions = {}): Promise<{ version: number }> {
    checkOptions('put', options)
    const object = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    checkObject(object)
    const fields = {
      ...checkCondition(options),
      ttlSeconds: checkTtl(options.ttlSeconds),
      metadata: checkMetadata(options.metadata),
    }
    return await this.#at(key, options, async (at, bounds) => {
      if (object.length > CHUNK_BYTES)
        return await putLarge(this.#router, at, { bytes: object, bounds, ...fields })
      const { hash, ...place } = at
      const request = (sent: Sent) => ({ ...place, ...sent, ...fields })
      return await this.#router.mutate(
        dataOperations.put,
        { hash, request, payload: object, ...bounds },
        toHead,
      )
    })
  }

  /**
   * The object's bytes; the Buffer is the caller's own. `NOT_FOUND`, or `OBJECT_LOST` where a node died. With
   * `consume` also `OUTCOME_UNKNOWN`: the object may be gone with the answer.
   */
  async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    checkOptions('get', options)
    const consume = options.consume === true
    const waitMs = checkWait(options.waitSeconds)
    const untilMs = this.#router.runtime.clock.monotonicMs() + waitMs
    return await this.#at(
      key,
      { ...options, deadlineMs: waitMs + (options.deadlineMs ?? CALL_MS_DEFAULT) },
      (at, bounds) => getObject(this.#router, at, { consume, untilMs, bounds }),
    )
  }

  /** Null where there is no object. */
  async stat(key: string, options: KeyOptions = {}): Promise<ObjectStat | null> {
    checkOptions('key', options)
    return await this.#at(key, options, async ({ hash, ...place }, bounds) => {
      try {
        const request = ({ epoch }: { epoch: number }) => ({ ...place, epoch })
        const { head } = await this.#router.call(dataOperations.stat, { hash, request, ...bounds })
        return {
          key,
          bytes: head.bytes,
          version: head.version,
          tier: tiers[head.tier] ?? 'ram',
          expiresAt: head.expiresAtMs === 0 ? null : new Date(head.expiresAtMs),
          metadata: Object.fromEntries(head.metadata.map(({ name, value }) => [name, value])),
        }
      } catch (error) {
        if (isError(error, 'NOT_FOUND')) return null
        throw error
      }
    })
  }

  async exists(key: string, options: KeyOptions = {}): Promise<boolean> {
    return (await this.stat(key, options)) !== null
  }

  /** Whether there was an object to delete. */
  async delete(key: string, options: KeyOptions = {}): Promise<boolean> {
    checkOptions('key', options)
    return await this.#at(key, options, async ({ hash, ...place }, bounds) => {
      const request = (sent: Sent) => ({ ...place, ...sent })
      return (await this.#router.mutate(dataOperations.delete, { hash, request, ...bounds }, toHead)).existed
    })
  }

  /**
   * Deletes up to any number of keys, one message for each node; gives how many there were. Not one step: another
   * client may see some of them gone and others not yet, and where it fails with `OUTCOME_UNKNOWN` it may stay so.
   */
  async deleteMany(keys: readonly string[], options: KeyOptions = {}): Promise<number> {
    checkOptions('key', options)
    const encoded = keys.map(encodeKey)
    const bounds = this.#bounds(options)
    return await this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
      deleteKeys(
        this.#router,
        encoded.map((key) => addressOf(bucket, key)),
        bounds,
      ),
    )
  }

  /**
   * Adds up to 1 MiB at the end of an object of up to 16 MiB; gives its new length. A key that is not there begins
   * empty. `OBJECT_TOO_LARGE`, and `BAD_REQUEST` where the object was put in chunks, which is above 1 MiB.
   */
  async append(key: string, bytes: Uint8Array | string, options: KeyOptions = {}): Promise<number> {
    checkOptions('key', options)
    const payload = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    checkObject(payload)
    if (payload.length > CHUNK_BYTES) {
      throw new MayflyError(
        'OBJECT_TOO_LARGE',
        `append takes up to ${CHUNK_BYTES} bytes at once, not ${payload.length}`,
      )
    }
    return await this.#at(key, options, async ({ hash, ...place }, bounds) => {
      const request = (sent: Sent) => ({ ...place, ...sent })
      return (await this.#router.mutate(dataOperations.append, { hash, request, payload, ...bounds }, toHead))
        .bytes
    })
  }

  /**
   * The keys of a bucket in the order of their UTF-8 bytes, fetched page by page as the loop goes on. A key that
   * exists during the whole of a listing appears in it exactly once. The deadline holds for each page.
   */
  async *list(options: ListOptions = {}): AsyncGenerator<ListEntry, void, undefined> {
    checkOptions('list', options)
    const prefix = options.prefix ? encodeKey(options.prefix) : Buffer.alloc(0)
    const acceptHoles = options.acceptHoles === true
    for (let after = Buffer.alloc(0), complete = false; !complete; ) {
      const bounds = this.#bounds(options)
      const page = await this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
        listPage(this.#router, { bucket, prefix, acceptHoles }, { after, bounds }),
      )
      yield* page.entries
      complete = page.complete
      after = Buffer.from(page.entries.at(-1)?.key ?? '')
    }
  }

  /** 1 to 63 letters, digits, `.`, `_` or `-`. Fails with `BUCKET_EXISTS`. */
  async createBucket(name: string, options: CallerOptions = {}): Promise<void> {
    checkOptions('call', options)
    await this.#buckets.create(name, this.#bounds(options))
  }

  /** With all its objects, which are gone when this resolves. Fails with `BUCKET_NOT_FOUND`. */
  async deleteBucket(name: string, options: CallerOptions = {}): Promise<void> {
    checkOptions('call', options)
    await this.#buckets.delete(name, this.#bounds(options))
  }

  /** In the order of their creation; the first is `default`. */
  async buckets(options: CallerOptions = {}): Promise<string[]> {
    checkOptions('call', options)
    return await this.#buckets.names(this.#bounds(options))
  }

  /** Closes the connections; what is under way fails with `CLOSED`. */
  async close(): Promise<void> {
    this.#router.close()
  }

  #bounds(options: CallerOptions): Bounds {
    return boundsOf(options, this.#router.runtime.clock)
  }

  async #at<Result>(
    key: string,
    options: KeyOptions,
    call: (at: KeyAddress, bounds: Bounds) => Promise<Result>,
  ): Promise<Result> {
    const bounds = this.#bounds(options)
    const bytes = encodeKey(key)
    return await this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
      call(addressOf(bucket, bytes), bounds),
    )
  }
}

function toHead<Head>(head: Head): Head {
  return head
}

function checkObject(bytes: unknown): asserts bytes is Uint8Array {
  if (!(bytes instanceof Uint8Array))
    throw new MayflyError('BAD_REQUEST', 'bytes: it is no Uint8Array and no string')
  if (bytes.length > OBJECT_BYTES_MAX) {
    throw new MayflyError(
      'OBJECT_TOO_LARGE',
      `The object has ${bytes.length} bytes, more than ${OBJECT_BYTES_MAX}`,
    )
  }
}
