import { MayflyError } from '../../protocol/errors.ts'
import { encodeKey } from '../../protocol/model/keys.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { KEPT_PART_BYTES_MAX } from './kept-limits.ts'

/** An object that outlives its job. It is a plain object under `kept/JOB/BUCKET/KEY`, see `kept-path.ts`, for any tool to read. */
export interface KeptName {
  readonly job: string
  readonly bucket: string
  readonly key: string
}

/**
 * What orders the changes of one name: the id of the key's bucket, which a bucket made anew under the same name has higher, then
 * the version, whose upper part is the epoch of the slot's owner. So what an old owner or an old bucket still does is always older.
 */
export interface Stamp {
  readonly bucketId: number
  readonly version: number
}

export interface KeptEntry extends KeptName {
  readonly bytes: number
  /** Since the Unix epoch; 0 where it stays until somebody removes it. */
  readonly expiresAtMs: number
  /** Of its put; null where somebody else has put it there. */
  readonly stamp: Stamp | null
}

/** An object with what its `put` said about it; null where somebody else has put it there. */
export interface KeptDescription extends KeptEntry {
  readonly about: Buffer | null
}

/** An object as it is to be kept. */
export interface KeptObject {
  readonly bytes: number
  /** As `KeptEntry.expiresAtMs`. */
  readonly expiresAtMs: number
  /** What its job has to know of it where it comes back into it, up to `KEPT_ABOUT_BYTES_MAX`. */
  readonly about: Buffer
  readonly stamp: Stamp
}

export interface KeptPut {
  /** Called right before the object is made visible: what that throws leaves what was there. */
  readonly fence?: () => void
  /** Nothing is known to lie there: what does all the same is looked at before it is overwritten. */
  readonly isNew?: boolean
}

export interface KeptRemoval {
  /** Called right before the object goes: what that throws keeps it. */
  readonly fence?: () => void
  /** Another put of the name may come at the same time, from another node, and wins. */
  readonly contended?: boolean
}

/** Which names a listing wants. */
export interface KeptQuery {
  /** Of `JOB/BUCKET/KEY`: a listing of a job has `JOB/`. */
  readonly prefix: string
  /** `next` of the page before; empty for the first one. */
  readonly after: string
  /** Of names that are looked at for one page. */
  readonly limit: number
}

/** Names, of which some may have expired or be gone by now. */
export interface KeptPage {
  readonly names: readonly KeptName[]
  /** Null on the last page. */
  readonly next: string | null
}

/**
 * Where objects lie that outlive their job. What `put` has acknowledged is there after a crash of every process. An object is there
 * whole or not at all, and readers see the old one or the new one. One whose time is over is `NOT_FOUND`, and `sweep` frees it.
 * A change never replaces or removes what has a newer stamp than its own. Errors are `MayflyError`: `OUTCOME_UNKNOWN` means that
 * the change may have been made, or may still be, and any other that it has not been made and will not be.
 */
export interface KeptStore {
  /**
   * `pieces` give `object.bytes` bytes together. Throws `BAD_REQUEST` where the name cannot be kept, see `checkKeptName`, and
   * `STALE_PLACEMENT` where something newer lies there.
   */
  put(name: KeptName, object: KeptObject, pieces: AsyncIterable<Buffer>, options?: KeptPut): Promise<void>
  /** Throws `NOT_FOUND`, with a `stamp` also where another object lies there. `range` must lie within the object. */
  get(name: KeptName, range: { offset: number; length: number }, stamp?: Stamp): Promise<Buffer>
  /** Null where there is none. */
  stat(name: KeptName): Promise<KeptEntry | null>
  /** As `stat`, with all that is known of it. */
  describe(name: KeptName): Promise<KeptDescription | null>
  /** Whether there was one. With `by`, one with a newer stamp stays, and is none. */
  remove(name: KeptName, by: Stamp | null, options?: KeptRemoval): Promise<boolean>
  /** In an order of the store's own, which is the same each time. */
  list(query: KeptQuery): Promise<KeptPage>
  /**
   * Frees what has expired of jobs that have ended, and says how many objects that were. A job that has not might put the very key
   * anew between a look at the object and its removal, which S3 has no way to tie together: there the key's owner sees to it.
   */
  sweep(hasEnded: (job: string) => boolean): Promise<number>
}

/** Whether an object's time is over; 0 is never. */
export function isOver(expiresAtMs: number, clock: Clock): boolean {
  return expiresAtMs !== 0 && expiresAtMs <= clock.wallMs()
}

/** Whether what lies there was put later than `by`. What somebody else has put there has no stamp, and is older than any. */
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

/** Null where that is none. */
export function parseStamp(text: string | undefined): Stamp | null {
  const [, bucketId, version] = /^(\d{1,10})-(\d{1,16})$/.exec(text ?? '') ?? []
  return bucketId === undefined || version === undefined
    ? null
    : { bucketId: Number(bucketId), version: Number(version) }
}

/** `JOB/BUCKET/KEY` */
export function formatName({ job, bucket, key }: KeptName): string {
  return `${job}/${bucket}/${key}`
}

/** Null where the text is no name. */
export function parseName(text: string): KeptName | null {
  const [job = '', bucket = '', ...rest] = text.split('/')
  const key = rest.join('/')
  return job === '' || bucket === '' || key === '' ? null : { job, bucket, key }
}

/** Throws `BAD_REQUEST` unless it is a name that an object can have: any key that a job takes. */
export function checkKeptName({ job, bucket, key }: KeptName): void {
  for (const [what, text] of Object.entries({ job, bucket })) {
    if (text !== '' && !text.includes('/') && isText(text) && Buffer.byteLength(text) <= KEPT_PART_BYTES_MAX)
      continue
    throw new MayflyError(
      'BAD_REQUEST',
      `${what}: '${text}' is not 1 to ${KEPT_PART_BYTES_MAX} bytes without '/' and NUL`,
    )
  }
  encodeKey(key)
}

/** Throws `BAD_REQUEST` for a prefix that no name can begin with. */
export function checkKeptPrefix(prefix: string): void {
  if (!isText(prefix))
    throw new MayflyError('BAD_REQUEST', 'prefix: it holds a NUL character or half of a surrogate pair')
}

export function noSuchObject(name: KeptName): MayflyError {
  return new MayflyError('NOT_FOUND', `Nothing is kept under ${formatName(name)}`)
}

export function isSuperseded(name: KeptName): MayflyError {
  return new MayflyError('STALE_PLACEMENT', `A newer object is kept under ${formatName(name)}`)
}

function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}
