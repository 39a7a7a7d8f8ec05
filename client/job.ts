import type { Readable } from 'node:stream'
import { MayflyError } from '../protocol/errors.ts'
import { DEFAULT_BUCKET, encodeKey } from '../protocol/model/keys.ts'
import { parseTicket } from '../protocol/model/ticket.ts'
import { chunkMemory, type WithChunkMemory } from '../protocol/wire/chunk-memory.ts'
import { Buckets } from './objects/buckets.ts'
import { deleteKeys } from './objects/delete-many.ts'
import { getObject } from './objects/get.ts'
import { getValues } from './objects/get-many.ts'
import { streamObject } from './objects/get-stream.ts'
import { type ListEntry, listKeys } from './objects/listing.ts'
import {
  type Bytes,
  decodeJson,
  encodeEntry,
  encodeJson,
  encodeObject,
  fieldsOf,
  streamFieldsOf,
} from './objects/object-fields.ts'
import { putObject } from './objects/put.ts'
import { putEntries } from './objects/put-many.ts'
import { type ByteSource, putFrom } from './objects/put-stream.ts'
import { appendTo, checkAppend, deleteObject } from './objects/small-mutations.ts'
import {
  getWithMetadata,
  type ObjectStat,
  type ObjectWithMetadata,
  statObject,
  statObjects,
} from './objects/stat.ts'
import { StreamWindows } from './objects/stream-windows.ts'
import {
  type CallerOptions,
  checkList,
  checkOptions,
  checkRange,
  checkText,
  type GetJsonOptions,
  type GetManyOptions,
  type GetOptions,
  type GetStreamOptions,
  type GetWithMetadataOptions,
  type JobOptions,
  type KeyOptions,
  type ListOptions,
  noOptions,
  type PutEntry,
  type PutOptions,
  type PutStreamOptions,
  versionOf,
  waitMsOf,
} from './options.ts'
import { type PresignOptions, presignByTicket } from './presign.ts'
import { type Deadline, deadlineOf } from './routing/deadline.ts'
import { addressOf, type KeyAddress } from './routing/key-address.ts'
import { Router } from './routing/router.ts'
import { realWorld, type World } from './routing/world.ts'
import { traceCalls } from './tracing.ts'

/**
 * Opens a job from its ticket, by default that of `MAYFLY_TICKET` in the environment. Connects on first use.
 * Throws `UNAUTHENTICATED` without a ticket, or for a string that is none.
 */
export async function openJob(
  ticket: string | undefined = process.env.MAYFLY_TICKET,
  options: JobOptions = {},
): Promise<Job> {
  checkOptions('job', options)
  if (ticket === undefined || ticket === '')
    throw new MayflyError('UNAUTHENTICATED', 'No ticket is given, and MAYFLY_TICKET is not set')
  checkText('ticket', ticket)
  return new Job(ticket, realWorld, options)
}

/**
 * A function's client of one job. Calls fail with `MayflyError`; any call may fail with `UNAUTHENTICATED`,
 * `TICKET_EXPIRED`, `JOB_ENDED`, `UNAVAILABLE`, `DEADLINE_EXCEEDED` or `ABORTED`.
 */
export class Job implements AsyncDisposable {
  /** The id of the job. */
  readonly id: string
  readonly #router: Router
  readonly #buckets: Buckets
  readonly #checksums: boolean
  readonly #windows = new StreamWindows()

  constructor(ticket: string, world: World, { ca, checksums = false, onRetry, tracer }: JobOptions = {}) {
    this.#checksums = checksums
    this.#router = new Router(parseTicket(ticket), { ...world, ca, onRetry })
    this.id = this.#router.ticket.job
    this.#buckets = new Buckets(this.#router)
    if (tracer !== undefined) traceCalls(this, tracer, { 'mayfly.job': this.id })
  }

  /**
   * Stores an object of up to 1 TiB under a key of 1 to 1,024 bytes of UTF-8. It is atomic: visible when this
   * resolves, and not stored if this rejects, except with `OUTCOME_UNKNOWN`: then its node failed before it
   * answered. Also `CAPACITY_EXCEEDED`, and `KEY_EXISTS` with `ifAbsent`. `bytes` must not change meanwhile.
   */
  async put(key: string, bytes: Bytes, options: PutOptions = noOptions): Promise<{ version: number }> {
    checkOptions('put', options)
    const object = encodeObject(bytes)
    const { condition, ifVersion, ttlSeconds, metadata, keptBucket } = fieldsOf(options, options.bucket)
    const checksums = this.#checksums
    return this.#at(key, options, (at, bounds) => {
      const put = { bytes: object, condition, ifVersion, ttlSeconds, metadata, keptBucket, checksums, bounds }
      return putObject(this.#router, at, put)
    })
  }

  /** As `put`, of a value as JSON. `BAD_REQUEST` for one that JSON cannot represent, such as a function or a BigInt. */
  async putJson(key: string, value: unknown, options: PutOptions = {}): Promise<{ version: number }> {
    return await this.put(key, encodeJson(value), options)
  }

  /**
   * Stores any number of objects, in one message per node and MiB; resolves with their versions in entry
   * order. Not atomic: each entry succeeds or fails by itself. If any failed, this rejects with a
   * `PutManyError`, whose `outcomes` say which. A key should appear once: which of two entries wins is
   * undefined.
   */
  async putMany(entries: readonly PutEntry[], options: KeyOptions = {}): Promise<{ version: number }[]> {
    checkOptions('key', options)
    checkList('entries', entries)
    const encoded = entries.map((entry) => encodeEntry(entry, options.bucket))
    const bounds = this.#bounds(options)
    return await this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) => {
      const all = encoded.map(({ name, bytes, fields }) => ({ at: addressOf(bucket, name), bytes, fields }))
      return putEntries(this.#router, all, { checksums: this.#checksums, bounds })
    })
  }

  /**
   * The object's bytes in a Buffer that the caller owns. `NOT_FOUND`, or `OBJECT_LOST` if its node failed.
   * With `consume` also `OUTCOME_UNKNOWN`: the object may be removed although its answer was lost.
   */
  async get(key: string, options: GetOptions = noOptions): Promise<Buffer> {
    checkOptions('get', options)
    const consume = options.consume === true
    const range = checkRange(options.range)
    if (consume && range !== null)
      throw new MayflyError('BAD_REQUEST', 'range: it contradicts consume, which takes the whole object')
    const name = encodeKey(key)
    const { untilMs, bounds } = this.#waiting(options)
    return this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
      getObject(this.#router, addressOf(bucket, name), {
        consume,
        untilMs,
        range,
        version: versionOf(options),
        checksums: this.#checksums,
        bounds,
      }),
    )
  }

  /**
   * As `get`, of an object that holds JSON; `BAD_REQUEST` if it does not. `Value` is what the caller expects,
   * and is not checked.
   */
  async getJson<Value = unknown>(key: string, options: GetJsonOptions = {}): Promise<Value> {
    checkOptions('getJson', options)
    return decodeJson(await this.get(key, options), key) as Value
  }

  /**
   * As `get`, with version, metadata and the rest of `stat` of the same version, in one round trip. If the
   * object is replaced between the two it is read again.
   */
  async getWithMetadata(key: string, options: GetWithMetadataOptions = {}): Promise<ObjectWithMetadata> {
    checkOptions('getStream', options)
    const range = checkRange(options.range)
    const name = encodeKey(key)
    const checksums = this.#checksums
    const { untilMs, bounds } = this.#waiting(options)
    const { [chunkMemory]: memory } = options as WithChunkMemory
    const get = { consume: false, untilMs, range, version: versionOf(options), checksums, bounds, memory }
    return await this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
      getWithMetadata(this.#router, addressOf(bucket, name), { key, get }),
    )
  }

  /**
   * The values of any number of keys, in order, in one message per node; null for a missing object. Not
   * atomic: each value was current at some moment of the call. Small values share memory, which is retained
   * as long as one of them. With `waitSeconds` it resolves once all keys exist, or at the timeout.
   * `OBJECT_LOST` if a node with one of them failed.
   */
  async getMany(keys: readonly string[], options: GetManyOptions = {}): Promise<(Buffer | null)[]> {
    checkOptions('getMany', options)
    const { untilMs, bounds } = this.#waiting(options)
    const get = { untilMs, checksums: this.#checksums, bounds }
    return await this.#atAll(keys, { options, bounds }, (all) => getValues(this.#router, all, get))
  }

  /**
   * Stores a Node or web stream, or any async iterable, until its end, of any length. Chunks of 1 MiB are
   * sent as they fill, up to 16 concurrently; back-pressure slows the source. Otherwise as `put`, except that
   * the deadline applies to each message: the source may be slow, and pause for up to 15 minutes. Text is
   * stored as UTF-8; a piece with half of a surrogate pair is `BAD_REQUEST`. If the source fails, this rejects
   * with its error; on any other failure the source is destroyed.
   */
  async putStream(
    key: string,
    readable: ByteSource,
    options: PutStreamOptions = {},
  ): Promise<{ version: number }> {
    checkOptions('put', options)
    const fields = streamFieldsOf(options)
    const name = encodeKey(key)
    return await putFrom(this.#router, {
      ...fields,
      source: readable,
      windows: this.#windows,
      memory: (options as WithChunkMemory)[chunkMemory],
      checksums: this.#checksums,
      signal: options.signal,
      bounds: () => this.#bounds(options),
      locate: async (bounds) =>
        addressOf(await this.#buckets.idOf(options.bucket ?? DEFAULT_BUCKET, bounds), name),
    })
  }

  /**
   * The object's bytes as a Node `Readable`, of any size. It prefetches up to 8 MiB, 64 MiB for all streams
   * of the job, and nothing while the reader pauses, which blocks no other call. It reads one version from
   * the first byte to the last. Failures are errors of the stream, also after the first bytes. A reader that
   * pauses for more than a minute continues later, or gets `VERSION_MISMATCH` if the object was replaced
   * meanwhile. `destroy` releases everything. The deadline applies to each message.
   */
  getStream(key: string, options: GetStreamOptions = {}): Readable {
    checkOptions('getStream', options)
    const name = encodeKey(key)
    return streamObject(this.#router, {
      windows: this.#windows,
      range: checkRange(options.range),
      version: versionOf(options),
      checksums: this.#checksums,
      waitMs: waitMsOf(options.waitSeconds),
      signal: options.signal,
      memory: (options as WithChunkMemory)[chunkMemory],
      bounds: (signal) => this.#bounds({ ...options, signal }),
      locate: (bounds, open) =>
        this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
          open(addressOf(bucket, name)),
        ),
    })
  }

  /** Null if there is no object. */
  async stat(key: string, options: KeyOptions = {}): Promise<ObjectStat | null> {
    checkOptions('key', options)
    return await this.#at(key, options, (at, bounds) => statObject(this.#router, at, { key, bounds }))
  }

  /**
   * As `stat`, of any number of keys, in order, in one message per node; null for a missing object. Not atomic:
   * each was so at some moment of the call. `OBJECT_LOST` if a node with one of them failed.
   */
  async statMany(keys: readonly string[], options: KeyOptions = {}): Promise<(ObjectStat | null)[]> {
    checkOptions('key', options)
    const bounds = this.#bounds(options)
    return await this.#atAll(keys, { options, bounds }, (all) => statObjects(this.#router, all, bounds))
  }

  async exists(key: string, options: KeyOptions = {}): Promise<boolean> {
    return (await this.stat(key, options)) !== null
  }

  /** Resolves with whether there was an object. */
  async delete(key: string, options: KeyOptions = {}): Promise<boolean> {
    checkOptions('key', options)
    return await this.#at(key, options, (at, bounds) => deleteObject(this.#router, at, bounds))
  }

  /**
   * Deletes any number of keys, one message per node; resolves with the number of deleted objects. Not
   * atomic: other clients may see some of them deleted before others, and after `OUTCOME_UNKNOWN` some may
   * remain.
   */
  async deleteMany(keys: readonly string[], options: KeyOptions = {}): Promise<number> {
    checkOptions('key', options)
    const bounds = this.#bounds(options)
    return await this.#atAll(keys, { options, bounds }, (all) => deleteKeys(this.#router, all, bounds))
  }

  /**
   * Appends up to 1 MiB to an object of up to 16 MiB; resolves with its new length. A missing key begins
   * empty. `OBJECT_TOO_LARGE`, and `BAD_REQUEST` if the object was put in chunks, which is above 1 MiB.
   */
  async append(key: string, bytes: Bytes, options: KeyOptions = {}): Promise<number> {
    checkOptions('key', options)
    const payload = encodeObject(bytes)
    checkAppend(payload)
    return await this.#at(key, options, (at, bounds) =>
      appendTo(this.#router, at, { payload, checksums: this.#checksums, bounds }),
    )
  }

  /**
   * The keys of a bucket in the order of their UTF-8 bytes, fetched page by page. A key that exists during
   * the whole listing appears exactly once. The deadline applies to each page.
   */
  async *list(options: ListOptions = {}): AsyncGenerator<ListEntry, void, undefined> {
    checkOptions('list', options)
    yield* listKeys(this.#router, options, (page) => {
      const bounds = this.#bounds(options)
      return this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) => page(bucket, bounds))
    })
  }

  /** `name` is 1 to 63 letters, digits, `.`, `_` or `-`. Fails with `BUCKET_EXISTS`. */
  async createBucket(name: string, options: CallerOptions = {}): Promise<void> {
    checkOptions('call', options)
    checkText('bucket', name)
    await this.#buckets.create(name, this.#bounds(options))
  }

  /** Deletes the bucket and its objects; all are gone when this resolves. Fails with `BUCKET_NOT_FOUND`. */
  async deleteBucket(name: string, options: CallerOptions = {}): Promise<void> {
    checkOptions('call', options)
    checkText('bucket', name)
    await this.#buckets.delete(name, this.#bounds(options))
  }

  /** In order of creation; the first is `default`. */
  async buckets(options: CallerOptions = {}): Promise<string[]> {
    checkOptions('call', options)
    return await this.#buckets.names(this.#bounds(options))
  }

  /**
   * A URL with which a browser or curl gets or puts an object until it expires, with the rights of the ticket and no longer than it.
   * `BAD_REQUEST` without the URL of a gateway, and for a key with a part `.` or `..`, which clients would resolve.
   */
  async presign(key: string, options: PresignOptions = {}): Promise<string> {
    checkOptions('presign', options)
    return presignByTicket(this.#router.ticket, key, options)
  }

  /**
   * Continues with a fresh ticket of the same job before the current one expires. Connections stay open, and
   * running calls are not disturbed. `BAD_REQUEST` for a ticket of another job.
   */
  async renewTicket(ticket: string): Promise<void> {
    checkText('ticket', ticket)
    await this.#router.renew(parseTicket(ticket))
  }

  /** Closes the connections; running calls fail with `CLOSED`. */
  async close(): Promise<void> {
    this.#router.close()
  }

  /** As `close`: `await using job = await openJob()` closes it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #bounds(options: CallerOptions): Deadline {
    return deadlineOf(options, this.#router.runtime.clock)
  }

  /** The deadline counts from the end of the wait. */
  #waiting(options: GetManyOptions): { untilMs: number; bounds: Deadline } {
    const waitMs = waitMsOf(options.waitSeconds)
    const { deadlineMs, signal, context } = this.#bounds(options)
    const untilMs = waitMs === 0 ? 0 : this.#router.runtime.clock.monotonicMs() + waitMs
    return { untilMs, bounds: { deadlineMs: deadlineMs + waitMs, signal, context } }
  }

  #at<Result>(
    key: string,
    options: KeyOptions,
    call: (at: KeyAddress, bounds: Deadline) => Promise<Result>,
  ): Promise<Result> {
    const bounds = this.#bounds(options)
    const bytes = encodeKey(key)
    return this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
      call(addressOf(bucket, bytes), bounds),
    )
  }

  #atAll<Result>(
    keys: readonly string[],
    { options, bounds }: { options: KeyOptions; bounds: Deadline },
    call: (all: readonly KeyAddress[]) => Promise<Result>,
  ): Promise<Result> {
    checkList('keys', keys)
    const encoded = keys.map(encodeKey)
    return this.#buckets.with(options.bucket ?? DEFAULT_BUCKET, bounds, (bucket) =>
      call(encoded.map((key) => addressOf(bucket, key))),
    )
  }
}
