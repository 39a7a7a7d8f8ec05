import { PutCondition } from '../protocol/data-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import { CALL_MS_MAX, METADATA_BYTES_MAX, TTL_SECONDS_MAX, WAIT_SECONDS_MAX } from '../protocol/limits.ts'

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

const callOptions = ['signal', 'deadlineMs']
const keyOptions = [...callOptions, 'bucket']
const objectOptions = ['ttlSeconds', 'ifAbsent', 'ifVersion', 'persist', 'metadata']

/** The options that each call takes; another one is a mistake that would be silently ignored. */
const allowedOptions = {
  call: callOptions,
  key: keyOptions,
  job: ['checksums'],
  get: [...keyOptions, 'consume', 'waitSeconds', 'range'],
  getStream: [...keyOptions, 'waitSeconds', 'range'],
  getMany: [...keyOptions, 'waitSeconds'],
  put: [...keyOptions, ...objectOptions],
  entry: ['key', 'bytes', ...objectOptions],
  list: [...keyOptions, 'prefix', 'acceptHoles'],
} as const

/** Throws `BAD_REQUEST`, naming the option. */
export function checkOptions(call: keyof typeof allowedOptions, options: object): void {
  if (options === noOptions) return
  const { deadlineMs } = options as CallerOptions
  if (deadlineMs !== undefined && !(deadlineMs >= 1 && deadlineMs <= CALL_MS_MAX)) {
    throw badOption('deadlineMs', `is not a number from 1 to ${CALL_MS_MAX}`)
  }
  for (const name in options) {
    if (!(allowedOptions[call] as readonly string[]).includes(name)) {
      throw badOption(name, `is no option of this call; it takes ${allowedOptions[call].join(', ')}`)
    }
  }
}

/** The time to live as it travels: 0 is none. Throws `BAD_REQUEST`. */
export function checkTtl(ttlSeconds: number | undefined): number {
  if (ttlSeconds === undefined) return 0
  if (Number.isInteger(ttlSeconds) && ttlSeconds >= 1 && ttlSeconds <= TTL_SECONDS_MAX) return ttlSeconds
  throw badOption('ttlSeconds', `is ${ttlSeconds}, not a whole number from 1 to ${TTL_SECONDS_MAX}`)
}

/** How long a get may wait, in ms. Throws `BAD_REQUEST`. */
export function checkWait(waitSeconds: number | undefined): number {
  if (waitSeconds === undefined) return 0
  if (waitSeconds >= 0 && waitSeconds <= WAIT_SECONDS_MAX) return Math.ceil(waitSeconds * 1000)
  throw badOption('waitSeconds', `is ${waitSeconds}, not a number from 0 to ${WAIT_SECONDS_MAX}`)
}

/** Null is the whole object. Throws `BAD_REQUEST`. */
export function checkRange(range: Range | undefined): Range | null {
  if (range === undefined) return null
  const { start, end = Number.MAX_SAFE_INTEGER } = range
  if (!Number.isSafeInteger(start) || start < 0)
    throw badOption('range', `starts at ${start}, not at a whole number from 0`)
  if (!Number.isSafeInteger(end) || end <= start)
    throw badOption('range', `ends at ${end}, not at a whole number above its start`)
  return range
}

/** The condition of a put as it travels. Throws `BAD_REQUEST`. */
export function checkCondition({ ifAbsent, ifVersion }: ObjectOptions): {
  condition: number
  ifVersion: number
} {
  if (ifVersion === undefined) {
    return { condition: ifAbsent === true ? PutCondition.absent : PutCondition.always, ifVersion: 0 }
  }
  if (ifAbsent === true) throw badOption('ifVersion', 'contradicts ifAbsent')
  if (!Number.isSafeInteger(ifVersion) || ifVersion < 1)
    throw badOption('ifVersion', `is ${ifVersion}, not a version`)
  return { condition: PutCondition.version, ifVersion }
}

/** Anything but a flag would be kept, or lost, by mistake. Throws `BAD_REQUEST`. */
export function checkPersist(persist: boolean | undefined): boolean {
  if (persist === undefined) return false
  if (typeof persist !== 'boolean') throw badOption('persist', `is ${persist}, not true or false`)
  return persist
}

/** User metadata as it travels. Throws `BAD_REQUEST`. */
export function checkMetadata(
  metadata: Readonly<Record<string, string>> = {},
): { name: string; value: string }[] {
  const pairs = Object.entries(metadata).map(([name, value]) => ({ name, value }))
  let bytes = 0
  for (const { name, value } of pairs) {
    if (typeof value !== 'string')
      throw badOption('metadata', `has a value under '${name}' that is not a string`)
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  if (bytes > METADATA_BYTES_MAX)
    throw badOption('metadata', `has ${bytes} bytes, more than ${METADATA_BYTES_MAX}`)
  return pairs
}

function badOption(name: string, what: string): MayflyError {
  return new MayflyError('BAD_REQUEST', `${name}: it ${what}`)
}
