import { MayflyError } from '../protocol/errors.ts'
import {
  CALL_MS_MAX,
  HINT_BYTES_MAX,
  HINT_BYTES_PER_SECOND_MAX,
  HINT_FUNCTIONS_MAX,
  HINT_LATENCY_MS_MAX,
  HINT_LATENCY_MS_MIN,
  HINT_READS_MAX,
  JOB_LEASE_SECONDS_MAX,
  JOB_LEASE_SECONDS_MIN,
  METADATA_BYTES_MAX,
  PRESIGNED_SECONDS_MAX,
  REGISTRATION_WAIT_SECONDS_MAX,
  TICKET_SECONDS,
  TTL_SECONDS_MAX,
  WAIT_SECONDS_MAX,
} from '../protocol/limits.ts'
import { flawOfKeyText, flawOfName } from '../protocol/model/text.ts'
import { ANY_VERSION, PutCondition } from '../protocol/operations/data-operations.ts'

/** What Mayfly uses of OpenTelemetry's `Tracer`, of any version; pass `trace.getTracer('my-function')`. */
export interface Tracer {
  startSpan(
    name: string,
    options?: { readonly kind?: number; readonly attributes?: Readonly<Record<string, string | number>> },
  ): Span
}

/** What Mayfly uses of OpenTelemetry's `Span`. */
export interface Span {
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number }
  setStatus(status: { readonly code: number; readonly message?: string }): unknown
  setAttribute(key: string, value: string): unknown
  end(): void
}

/** Options for opening a job. */
export interface JobOptions {
  /** CAs to trust, in PEM. If not given, those of the file that `MAYFLY_CA_FILE` names; without it those of Node. */
  readonly ca?: string | undefined
  /**
   * Puts carry a CRC-32, which is stored, and reads verify it: `CHECKSUM_MISMATCH` if bytes were damaged
   * anywhere on the way. Objects put without one are not verified. Reading a range reads the whole of its
   * MiB. False if not given.
   */
  readonly checksums?: boolean | undefined
  /**
   * Is told of each failed attempt that is repeated within the call, for logs and metrics. It runs after the
   * decision to repeat and cannot change it; what it throws is an uncaught exception.
   */
  readonly onRetry?: ((retry: RetryEvent) => void) | undefined
  /**
   * A tracer of OpenTelemetry. Each call but `list` gets a span beneath the active one, and what the servers do
   * for it has spans beneath that, if they record any. Without a tracer a call does nothing for it.
   */
  readonly tracer?: Tracer | undefined
}

/** A failed attempt that is repeated. */
export interface RetryEvent {
  /** Number of the failed attempt within its call, from 1. */
  readonly attempt: number
  /** Why it failed. */
  readonly error: MayflyError
  /** `host:port` of the server that it was sent to; null for the controller. */
  readonly address: string | null
  /** The key of the call; null for calls of many keys, of chunks and of buckets. */
  readonly key: string | null
}

/** Options of every call. */
export interface CallerOptions {
  /**
   * Aborts the call with `ABORTED`: no object was changed and none will be. If a node has a change of an object
   * already and does not confirm that, the call fails with `OUTCOME_UNKNOWN` instead. Calls about buckets,
   * jobs and kept objects are always `ABORTED`, and may be carried out once they were sent.
   */
  readonly signal?: AbortSignal | undefined
  /** Fails the call with `DEADLINE_EXCEEDED` after this many ms: 1 to 900,000, 30,000 if not given. */
  readonly deadlineMs?: number | undefined
}

export interface KeyOptions extends CallerOptions {
  /** Name of a bucket of the job; `default` if not given. */
  readonly bucket?: string | undefined
}

/** Options of one object that is put. */
export interface ObjectOptions {
  /** The object expires after this many whole seconds, 1 to 315,360,000; with its job if not given. */
  readonly ttlSeconds?: number | undefined
  /** Fail with `KEY_EXISTS` if the key exists. */
  readonly ifAbsent?: boolean | undefined
  /** Fail with `VERSION_MISMATCH` unless the key is at this version, as returned by `put` or `stat`. */
  readonly ifVersion?: number | undefined
  /**
   * The object outlives the job, until it is deleted or expires; read it with `mayfly.kept` then. The put
   * waits until the object is in the persistent store, and so does any operation that overwrites, deletes or
   * consumes it. Any key is accepted. `append` does not accept such objects. If its node fails it is read from
   * the persistent store, under a new version.
   */
  readonly persist?: boolean | undefined
  /** Stored with the object and returned by `stat`; up to 8 KiB of names and values. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

export interface PutOptions extends KeyOptions, ObjectOptions {}

/** Options of `putStream`. */
export interface PutStreamOptions extends KeyOptions, Omit<ObjectOptions, 'metadata'> {
  /** As of `put`; a function is called when the source has ended, as for a digest of its bytes. */
  readonly metadata?: ObjectOptions['metadata'] | (() => ObjectOptions['metadata'])
}

/** One object of a `putMany`: its key, its bytes, and the options of `put`. */
export interface PutEntry extends ObjectOptions {
  readonly key: string
  readonly bytes: string | ArrayBuffer | ArrayBufferView
}

/** A range of an object's bytes, as of `subarray`: from `start` up to, excluding, `end`. */
export interface Range {
  /** The first byte: 0 or more, and below the object's length, else `RANGE_NOT_SATISFIABLE`. */
  readonly start: number
  /** The byte after the last: above `start`; the object's end if not given or beyond it. */
  readonly end?: number | undefined
}

export interface GetStreamOptions extends KeyOptions {
  /** Read only this version, as returned by `put` or `stat`; `VERSION_MISMATCH` if the key is at another one. */
  readonly ifVersion?: number | undefined
  /** Wait for a missing key to be put, up to this many seconds from the first read: 0 to 900. */
  readonly waitSeconds?: number | undefined
  /** Read only this range. */
  readonly range?: Range | undefined
}

export interface GetManyOptions extends KeyOptions {
  /** Wait for all missing keys to be put, up to this many seconds: 0 to 900. */
  readonly waitSeconds?: number | undefined
}

export interface GetOptions extends KeyOptions {
  /** Read only this version, as returned by `put` or `stat`; `VERSION_MISMATCH` if the key is at another one. */
  readonly ifVersion?: number | undefined
  /**
   * Removes the object atomically: of several consumers exactly one gets it, the others `NOT_FOUND`. If the
   * consumer may crash before it has used the bytes, get the object and delete it when the work is done.
   */
  readonly consume?: boolean | undefined
  /**
   * Wait for a missing key to be put, up to this many seconds: 0 to 900. The producer's put answers the call
   * directly. `NOT_FOUND` at the timeout; the deadline counts from then.
   */
  readonly waitSeconds?: number | undefined
  /** Read only this range; not together with `consume`. */
  readonly range?: Range | undefined
}

/** Options of `getJson`. */
export type GetJsonOptions = Omit<GetOptions, 'range' | 'ifVersion'>

/** Options of `getWithMetadata`. */
export type GetWithMetadataOptions = Omit<GetOptions, 'consume'>

export interface ListOptions extends KeyOptions {
  /** Only keys with this prefix. */
  readonly prefix?: string | undefined
  /** Only keys after this one, in the order of their UTF-8 bytes; there may be no such key. */
  readonly after?: string | undefined
  /** At most this many keys: 1 or more. For up to 1,001 the nodes collect no others. */
  readonly limit?: number | undefined
  /** List the remaining keys after a node failure instead of failing with `OBJECT_LOST`. */
  readonly acceptHoles?: boolean | undefined
}

/** What the driver knows of its job; all optional. */
export interface Hints {
  /**
   * True: RAM first, the default without `latencyMs`. False: the cheapest tiers with the capacity and
   * throughput.
   */
  readonly latencySensitive?: boolean | undefined
  /** Only tiers on which the 99th percentile of a small get takes at most this many ms: 0.001 to 60,000. */
  readonly latencyMs?: number | undefined
  /** Concurrent functions at the peak. */
  readonly maxFunctions?: number | undefined
  /** Bytes stored at the peak. */
  readonly capacityBytes?: number | undefined
  /** Bytes in and out per second at the peak. */
  readonly peakBytesPerSecond?: number | undefined
  /**
   * Average reads of an object after it is written: 0 to 1,000,000, 1 if not given. Higher values mean more
   * throughput for the same capacity, unless `peakBytesPerSecond` is given.
   */
  readonly readsPerObject?: number | undefined
}

/** The rights of a ticket. */
export interface TicketGrant {
  /** True if not given. */
  readonly read?: boolean | undefined
  /** True if not given. `consume` needs both rights. */
  readonly write?: boolean | undefined
  /**
   * Restricts the ticket to keys with this prefix, in every bucket: up to 256 bytes. Listings return only
   * such keys.
   */
  readonly prefix?: string | undefined
  /** Lifetime in seconds: 1 to 86,400, which is the default. */
  readonly expiresInSeconds?: number | undefined
}

/** The options of calls without options; recognized by identity. */
export const noOptions = Object.freeze({})

/** The problem with a value; null if it is valid. */
type Check = (value: unknown) => string | null

const flag: Check = (value) => (typeof value === 'boolean' ? null : 'true or false')
const text: Check = (value) =>
  typeof value === 'string' && value.isWellFormed() ? null : 'a string of Unicode'
const keyText: Check = (value) =>
  typeof value === 'string' && flawOfKeyText(value) === null ? null : 'a string of Unicode without NUL'
const anything: Check = () => null
const hook: Check = (value) => (typeof value === 'function' ? null : 'a function')
const tracer: Check = (value) =>
  typeof (value as Tracer | null)?.startSpan === 'function' ? null : 'a tracer of OpenTelemetry'
const httpMethod: Check = (value) =>
  ['GET', 'HEAD', 'PUT', 'DELETE'].includes(value as string) ? null : 'GET, HEAD, PUT or DELETE'
const signal: Check = (value) =>
  typeof (value as AbortSignal | null)?.addEventListener === 'function' ? null : 'an AbortSignal'

function number(min: number, max: number): Check {
  const isOne = (value: unknown): boolean => typeof value === 'number' && value >= min && value <= max
  return (value) => (isOne(value) ? null : `a number from ${min} to ${max}`)
}

function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): Check {
  const isOne = (value: unknown): boolean =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
  return (value) => (isOne(value) ? null : `a whole number from ${min} to ${max}`)
}

const call = { signal, deadlineMs: number(1, CALL_MS_MAX) }
const key = { ...call, bucket: text }
const wait = { waitSeconds: number(0, WAIT_SECONDS_MAX) }
const object = {
  ttlSeconds: wholeNumber(1, TTL_SECONDS_MAX),
  ifAbsent: flag,
  ifVersion: wholeNumber(1),
  persist: flag,
  metadata: anything,
}
const hints = {
  latencySensitive: flag,
  latencyMs: number(HINT_LATENCY_MS_MIN, HINT_LATENCY_MS_MAX),
  maxFunctions: wholeNumber(1, HINT_FUNCTIONS_MAX),
  capacityBytes: wholeNumber(1, HINT_BYTES_MAX),
  peakBytesPerSecond: wholeNumber(1, HINT_BYTES_PER_SECOND_MAX),
  readsPerObject: number(0, HINT_READS_MAX),
}

/** The valid options of each call. Unknown names are rejected, because they would be silently ignored. */
const shapes = {
  call,
  key,
  job: { ca: text, checksums: flag, onRetry: hook, tracer },
  get: { ...key, ...wait, consume: flag, range: anything, ifVersion: wholeNumber(1) },
  getJson: { ...key, ...wait, consume: flag },
  getStream: { ...key, ...wait, range: anything, ifVersion: wholeNumber(1) },
  getMany: { ...key, ...wait },
  put: { ...key, ...object },
  // Keys and bytes are checked when they are encoded.
  entry: { key: anything, bytes: anything, ...object },
  list: { ...key, prefix: keyText, after: keyText, limit: wholeNumber(1), acceptHoles: flag },
  range: { start: wholeNumber(0), end: wholeNumber(1) },
  connect: { apiKey: text, ca: text, onRetry: hook, tracer },
  hints,
  grant: { read: flag, write: flag, prefix: keyText, expiresInSeconds: wholeNumber(1, TICKET_SECONDS) },
  s3Grant: { read: flag, write: flag, prefix: keyText },
  presign: { ...key, method: httpMethod, seconds: wholeNumber(1, PRESIGNED_SECONDS_MAX), endpoint: text },
  register: {
    ...call,
    leaseSeconds: wholeNumber(JOB_LEASE_SECONDS_MIN, JOB_LEASE_SECONDS_MAX),
    waitSeconds: wholeNumber(0, REGISTRATION_WAIT_SECONDS_MAX),
  },
  kept: { ...call, prefix: keyText },
  persistedName: { job: text, bucket: text, key: text },
} as const satisfies Record<string, Readonly<Record<string, Check>>>

/** Throws `BAD_REQUEST`, naming the option. */
export function checkOptions(of: keyof typeof shapes, options: object): void {
  if (options === noOptions) return
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new MayflyError('BAD_REQUEST', `${nameOf(of)}: ${say(options)} is no object`)
  const shape: Readonly<Record<string, Check>> = shapes[of]
  for (const name in options) {
    if (!Object.hasOwn(shape, name)) throw unknown(of, name)
    const value = (options as Readonly<Record<string, unknown>>)[name]
    const wanted = value === undefined ? null : (shape[name] as Check)(value)
    if (wanted !== null) throw badOption(pathOf(of, name), `is ${say(value)}, not ${wanted}`)
  }
}

/** Checks a name passed as an argument. Throws `BAD_REQUEST`. */
export function checkText(name: string, value: string): void {
  const wanted = text(value)
  if (wanted !== null) throw badOption(name, `is ${say(value)}, not ${wanted}`)
}

/** Throws `BAD_REQUEST` unless it is an array. */
export function checkList(name: string, list: readonly unknown[]): void {
  if (!Array.isArray(list)) throw badOption(name, `is ${say(list)}, not an array`)
}

function nameOf(of: keyof typeof shapes): string {
  return ['range', 'entry', 'hints'].includes(of) ? of : of === 'persistedName' ? 'name' : 'options'
}

/** The option's path, as the HTTP API names it. */
function pathOf(of: keyof typeof shapes, name: string): string {
  return of === 'range' || of === 'hints' ? `${of}.${name}` : name
}

function unknown(of: keyof typeof shapes, name: string): MayflyError {
  const what =
    of === 'range' ? 'a range' : of === 'entry' ? 'an entry' : of === 'hints' ? 'hints' : 'this call'
  return badOption(
    pathOf(of, name),
    `is no option of ${what}; there are ${Object.keys(shapes[of]).join(', ')}`,
  )
}

/** Formats a value for an error message. */
function say(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

/** The version of a read. */
export function versionOf({ ifVersion = ANY_VERSION }: Pick<GetOptions, 'ifVersion'>): number {
  return ifVersion
}

/** The wait of a get, in ms. */
export function waitMsOf(waitSeconds = 0): number {
  return Math.ceil(waitSeconds * 1000)
}

/** Null is the whole object. Throws `BAD_REQUEST`. */
export function checkRange(range: Range | undefined): Range | null {
  if (range === undefined) return null
  checkOptions('range', range)
  const { start, end = Number.MAX_SAFE_INTEGER } = range
  if (start === undefined) throw badOption('range', 'has no start')
  if (end <= start) throw badOption('range', `ends at ${end}, not above its start`)
  return range
}

/** Encodes the condition of a put. Throws `BAD_REQUEST`. */
export function checkCondition({ ifAbsent, ifVersion }: ObjectOptions): {
  condition: number
  ifVersion: number
} {
  if (ifVersion === undefined)
    return { condition: ifAbsent === true ? PutCondition.absent : PutCondition.always, ifVersion: 0 }
  if (ifAbsent === true) throw badOption('ifVersion', 'contradicts ifAbsent')
  return { condition: PutCondition.version, ifVersion }
}

/** Encodes user metadata. Throws `BAD_REQUEST`. */
export function checkMetadata(
  metadata: Readonly<Record<string, string>> = {},
): { name: string; value: string }[] {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw badOption('metadata', `is ${say(metadata)}, not an object of strings`)
  const pairs = Object.entries(metadata).map(([name, value]) => ({ name, value }))
  let bytes = 0
  for (const { name, value } of pairs) {
    if (typeof value !== 'string')
      throw badOption('metadata', `has a value under '${name}' that is not a string`)
    const flaw = flawOfName(name) ?? (value.isWellFormed() ? null : 'has half of a surrogate pair')
    if (flaw !== null) throw badOption('metadata', `has a name or value that ${flaw}`)
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  if (bytes > METADATA_BYTES_MAX)
    throw badOption('metadata', `has ${bytes} bytes, more than ${METADATA_BYTES_MAX}`)
  return pairs
}

function badOption(name: string, what: string): MayflyError {
  return new MayflyError('BAD_REQUEST', `${name}: it ${what}`)
}
