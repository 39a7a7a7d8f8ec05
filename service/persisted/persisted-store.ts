import { MayflyError } from '../../protocol/errors.ts'
import { encodeKey } from '../../protocol/model/keys.ts'
import { flawOfKeyText, flawOfName } from '../../protocol/model/text.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { PERSISTED_PART_BYTES_MAX } from './persisted-limits.ts'

/**
 * An object that outlives its job. It is a plain object under `kept/JOB/BUCKET/KEY`, see `persisted-path.ts`,
 * readable by any tool.
 */
export interface PersistedName {
  readonly job: string
  readonly bucket: string
  readonly key: string
}

/**
 * Orders the changes of one name: by bucket id, which is higher for a new bucket of the same name, then by
 * version, whose upper part is the epoch of the slot's owner. Changes of an old owner or an old bucket are
 * always older.
 */
export interface Stamp {
  readonly bucketId: number
  readonly version: number
}

export interface PersistedStat extends PersistedName {
  readonly bytes: number
  /** Since the Unix epoch; 0 if it does not expire. */
  readonly expiresAtMs: number
  /** Of its put; null if it was not written by Mayfly. */
  readonly stamp: Stamp | null
}

/** An object with its description; null if it was not written by Mayfly. */
export interface PersistedDescription extends PersistedStat {
  readonly about: Buffer | null
}

/** An object to be stored. */
export interface PersistedObject {
  readonly bytes: number
  /** As `PersistedStat.expiresAtMs`. */
  readonly expiresAtMs: number
  /** What its job needs for recovery, up to `PERSISTED_ABOUT_BYTES_MAX`. */
  readonly about: Buffer
  readonly stamp: Stamp
}

export interface PersistedPut {
  /** Called right before the object becomes visible. If it throws, the store is unchanged. */
  readonly fence?: () => void
  /** No object is known under the name; an unexpected one is checked before it is overwritten. */
  readonly isNew?: boolean
}

export interface PersistedRemoval {
  /** Called right before the object is removed. If it throws, the store is unchanged. */
  readonly fence?: () => void
  /** Another node may put the name concurrently, and wins. */
  readonly contended?: boolean
}

/** The names that a listing selects. */
export interface PersistedQuery {
  /** Of `JOB/BUCKET/KEY`; `JOB/` selects one job. */
  readonly prefix: string
  /** `next` of the previous page; empty for the first. */
  readonly after: string
  /** Names looked up for one page. */
  readonly limit: number
}

/** Names; some may have expired or be gone. */
export interface PersistedPage {
  readonly names: readonly PersistedName[]
  /** Null on the last page. */
  readonly next: string | null
}

/**
 * The store of persistent objects. An acknowledged `put` survives a crash of every process. Objects are
 * atomic: readers see the old or the new one. An expired object is `NOT_FOUND`, and `sweep` frees it. A
 * change never replaces or removes an object with a newer stamp. Errors are `MayflyError`: after
 * `OUTCOME_UNKNOWN` the change may have been made, or may still be; after any other it has not been made and
 * will not be.
 */
export interface PersistedStore {
  /**
   * `pieces` have `object.bytes` bytes in total. Throws `BAD_REQUEST` for an invalid name, see
   * `checkPersistedName`, and `STALE_PLACEMENT` if a newer object exists.
   */
  put(
    name: PersistedName,
    object: PersistedObject,
    pieces: AsyncIterable<Buffer>,
    options?: PersistedPut,
  ): Promise<void>
  /**
   * Throws `NOT_FOUND`; with a `stamp` also if the object has another one, and then not if it has expired: the
   * owner of its key asks, and decides by its own clock. `range` must be within the object.
   */
  get(name: PersistedName, range: { offset: number; length: number }, stamp?: Stamp): Promise<Buffer>
  /** Null if there is none. */
  stat(name: PersistedName): Promise<PersistedStat | null>
  /** As `stat`, with the description. */
  describe(name: PersistedName): Promise<PersistedDescription | null>
  /** Resolves with whether there was one. With `by`, a newer object is left unchanged and does not count. */
  remove(name: PersistedName, by: Stamp | null, options?: PersistedRemoval): Promise<boolean>
  /** In an order of the store's own, the same each time. */
  list(query: PersistedQuery): Promise<PersistedPage>
  /**
   * Frees expired objects of ended jobs and returns their number. In a running job the key could be put again
   * between check and removal, which S3 cannot make atomic; the key's owner removes those.
   */
  sweep(hasEnded: (job: string) => boolean): Promise<number>
}

/** Whether an object has expired; 0 never does. */
export function isOver(expiresAtMs: number, clock: Clock): boolean {
  return expiresAtMs !== 0 && expiresAtMs <= clock.wallMs()
}

/** Whether the stored object is newer than `by`. An object without a stamp is older than any. */
export function isNewer(found: Stamp | null, by: Stamp): boolean {
  if (found === null) return false
  return found.bucketId > by.bucketId || (found.bucketId === by.bucketId && found.version > by.version)
}

export function isSameStamp(a: Stamp | null, b: Stamp): boolean {
  return a?.bucketId === b.bucketId && a.version === b.version
}

export function formatStamp({ bucketId, version }: Stamp): string {
  return `${bucketId}-${version}`
}

/** Null if it is invalid. */
export function parseStamp(text: string | undefined): Stamp | null {
  const [, bucketId, version] = /^(\d{1,10})-(\d{1,16})$/.exec(text ?? '') ?? []
  return bucketId === undefined || version === undefined
    ? null
    : { bucketId: Number(bucketId), version: Number(version) }
}

/** `JOB/BUCKET/KEY` */
export function formatName({ job, bucket, key }: PersistedName): string {
  return `${job}/${bucket}/${key}`
}

/** Null if the text is no name. */
export function parseName(text: string): PersistedName | null {
  const [job = '', bucket = '', ...rest] = text.split('/')
  const key = rest.join('/')
  return job === '' || bucket === '' || key === '' ? null : { job, bucket, key }
}

/** Throws `BAD_REQUEST` unless the name is valid: any key that a job accepts. */
export function checkPersistedName({ job, bucket, key }: PersistedName): void {
  for (const [what, text] of Object.entries({ job, bucket })) {
    if (
      text !== '' &&
      !text.includes('/') &&
      flawOfName(text) === null &&
      Buffer.byteLength(text) <= PERSISTED_PART_BYTES_MAX
    )
      continue
    throw new MayflyError(
      'BAD_REQUEST',
      `${what}: '${text}' is not 1 to ${PERSISTED_PART_BYTES_MAX} bytes without '/' and control characters`,
    )
  }
  encodeKey(key)
}

/** Throws `BAD_REQUEST` for a prefix that no name has. */
export function checkPersistedPrefix(prefix: string): void {
  const flaw = flawOfKeyText(prefix)
  if (flaw !== null) throw new MayflyError('BAD_REQUEST', `prefix: it ${flaw}`)
}

export function noSuchObject(name: PersistedName): MayflyError {
  return new MayflyError('NOT_FOUND', `There is no persisted object ${formatName(name)}`)
}

export function isSuperseded(name: PersistedName): MayflyError {
  return new MayflyError('STALE_PLACEMENT', `A newer object is persisted as ${formatName(name)}`)
}
