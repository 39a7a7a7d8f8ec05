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
  REGISTRATION_WAIT_SECONDS_MAX,
  TTL_SECONDS_MAX,
  WAIT_SECONDS_MAX,
} from '../protocol/limits.ts'
import { PutCondition } from '../protocol/operations/data-operations.ts'

/** Options of a job that is opened. */
export interface JobOptions {
  /**
   * Puts carry a CRC-32 of their bytes, which is kept with them, and reads are held against it: `CHECKSUM_MISMATCH`
   * instead of bytes that were damaged anywhere on the way. What was put without one is read unchecked. A part of an object is
   * read with the whole of its MiB. False if not given.
   */
  readonly checksums?: boolean | undefined
}

/** Options of every call. */
export interface CallerOptions {
  /** Gives the call up with `ABORTED`. What was sent may still be carried out. */
  readonly signal?: AbortSignal | undefined
  /** The call fails with `DEADLINE_EXCEEDED` after this many milliseconds: 1 to 900,000, 30,000 if not given. */
  readonly deadlineMs?: number | undefined
}

export interface KeyOptions extends CallerOptions {
  /** Name of a bucket of the job; `default` if not given. */
  readonly bucket?: string | undefined
}

/** What is said of one object that is put. */
export interface ObjectOptions {
  /** The object vanishes after this many whole seconds, 1 to 315,360,000; with its job if not given. */
  readonly ttlSeconds?: number | undefined
  /** Fail with `KEY_EXISTS` if there is an object under the key. */
  readonly ifAbsent?: boolean | undefined
  /** Fail with `VERSION_MISMATCH` unless the key is at this version, as `put` or `stat` gave it. */
  readonly ifVersion?: number | undefined
  /**
   * The object outlives the job, until it is deleted or its time to live is over: `mayfly.kept` reads it then. The put waits until
   * it lies in the kept store, and whatever overwrites, deletes or consumes it waits for that too. `BAD_REQUEST` where no file could
   * have the key's name: each of its parts between slashes has 1 to 255 bytes and is not `.` or `..`, and job, bucket and key have
   * up to 996 together; `append` takes no such object. If its node dies it is read from the kept store,
   * under a new version.
   */
  readonly persist?: boolean | undefined
  /** Kept with the object and given back by `stat`; up to 8 KiB of names and values. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

export interface PutOptions extends KeyOptions, ObjectOptions {}

/** One object of a `putMany`: its key, its bytes, and what `put` takes. */
export interface PutEntry extends ObjectOptions {
  readonly key: string
  readonly bytes: Uint8Array | string
}

/** A part of an object's bytes, as of `subarray`: from `start` up to, and without, `end`. */
export interface Range {
  /** The first byte: 0 or more, and below the object's length, else `RANGE_NOT_SATISFIABLE`. */
  readonly start: number
  /** The byte after the last: above `start`; the object's end if not given, or if it is past that. */
  readonly end?: number | undefined
}

export interface GetStreamOptions extends KeyOptions {
  /** Where the key is not there, wait for it to be put, up to this many seconds from the first read: 0 to 900. */
  readonly waitSeconds?: number | undefined
  /** Read only this part. */
  readonly range?: Range | undefined
}

export interface GetManyOptions extends KeyOptions {
  /** Where keys are not there, wait for all of them to be put, up to this many seconds: 0 to 900. */
  readonly waitSeconds?: number | undefined
}

export interface GetOptions extends KeyOptions {
  /**
   * Removes the object in the same step: of many consumers exactly one gets it, the others `NOT_FOUND`. If the
   * consumer may crash before it has used the bytes, get the object and delete it when the work is done.
   */
  readonly consume?: boolean | undefined
  /**
   * Where the key is not there, wait for it to be put, up to this many seconds: 0 to 900. The producer's put answers
   * the call directly. `NOT_FOUND` when the time is over; the deadline counts from then.
   */
  readonly waitSeconds?: number | undefined
  /** Read only this part; not together with `consume`. */
  readonly range?: Range | undefined
}

export interface ListOptions extends KeyOptions {
  /** Only keys that start with this. */
  readonly prefix?: string | undefined
  /** List what is left where a node died, instead of failing with `OBJECT_LOST`. */
  readonly acceptHoles?: boolean | undefined
}

/** What a call that names no options is given: known by being this very object. */
export const noOptions = Object.freeze({})

/** What is wrong with a value; null where nothing is. */
type Check = (value: unknown) => string | null

const flag: Check = (value) => (typeof value === 'boolean' ? null : 'true or false')
const text: Check = (value) =>
  typeof value === 'string' && value.isWellFormed() ? null : 'a string of Unicode'
const anything: Check = () => null
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

/** The options of each call, with what each of them may be. Any other name is a mistake that would be silently ignored. */
const shapes = {
  call,
  key,
  job: { checksums: flag },
  get: { ...key, ...wait, consume: flag, range: anything },
  getStream: { ...key, ...wait, range: anything },
  getMany: { ...key, ...wait },
  put: { ...key, ...object },
  // Keys and bytes have checks of their own, where they are encoded.
  entry: { key: anything, bytes: anything, ...object },
  list: { ...key, prefix: text, acceptHoles: flag },
  range: { start: wholeNumber(0), end: wholeNumber(1) },
  connect: { apiKey: text },
  hints,
  register: {
    ...call,
    leaseSeconds: wholeNumber(JOB_LEASE_SECONDS_MIN, JOB_LEASE_SECONDS_MAX),
    waitSeconds: wholeNumber(0, REGISTRATION_WAIT_SECONDS_MAX),
  },
  kept: { ...call, prefix: text },
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

/** Of a name that is an argument of its own. Throws `BAD_REQUEST`. */
export function checkText(name: string, value: string): void {
  const wanted = text(value)
  if (wanted !== null) throw badOption(name, `is ${say(value)}, not ${wanted}`)
}

/** Throws `BAD_REQUEST` unless it is a list. */
export function checkList(name: string, list: readonly unknown[]): void {
  if (!Array.isArray(list)) throw badOption(name, `is ${say(list)}, not an array`)
}

function nameOf(of: keyof typeof shapes): string {
  return ['range', 'entry', 'hints'].includes(of) ? of : of === 'persistedName' ? 'name' : 'options'
}

/** As the HTTP API names it, where an option is a field of an argument. */
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

/** A value as an error names it. */
function say(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

/** How long a get may wait, in ms. */
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

/** The condition of a put as it travels. Throws `BAD_REQUEST`. */
export function checkCondition({ ifAbsent, ifVersion }: ObjectOptions): {
  condition: number
  ifVersion: number
} {
  if (ifVersion === undefined)
    return { condition: ifAbsent === true ? PutCondition.absent : PutCondition.always, ifVersion: 0 }
  if (ifAbsent === true) throw badOption('ifVersion', 'contradicts ifAbsent')
  return { condition: PutCondition.version, ifVersion }
}

/** User metadata as it travels. Throws `BAD_REQUEST`. */
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
    if (!name.isWellFormed() || !value.isWellFormed())
      throw badOption('metadata', 'has half of a surrogate pair, which UTF-8 cannot carry')
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  if (bytes > METADATA_BYTES_MAX)
    throw badOption('metadata', `has ${bytes} bytes, more than ${METADATA_BYTES_MAX}`)
  return pairs
}

function badOption(name: string, what: string): MayflyError {
  return new MayflyError('BAD_REQUEST', `${name}: it ${what}`)
}
