import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { KEPT_NAME_BYTES_MAX, KEPT_SEGMENT_BYTES_MAX } from './kept-limits.ts'

/** An object that outlives its job. It is a plain object under `kept/JOB/BUCKET/KEY`, for any tool to read. */
export interface KeptName {
  readonly job: string
  readonly bucket: string
  readonly key: string
}

export interface KeptEntry extends KeptName {
  readonly bytes: number
  /** Since the Unix epoch; 0 where it stays until somebody removes it. */
  readonly expiresAtMs: number
}

/** An object as it is to be kept. */
export interface KeptObject {
  readonly bytes: number
  /** As `KeptEntry.expiresAtMs`. */
  readonly expiresAtMs: number
  /** What its job has to know of it where it comes back into it, up to `KEPT_ABOUT_BYTES_MAX`. */
  readonly about: Buffer
}

/** Which objects a listing wants. */
export interface KeptQuery {
  /** Of `JOB/BUCKET/KEY`: a listing of a job has `JOB/`. */
  readonly prefix: string
  /** Only names behind this one. */
  readonly after: string
  readonly limit: number
}

/**
 * Where objects lie that outlive their job. What `put` has acknowledged is there after a crash of every process; a put that did
 * not end is not seen. An object is there whole or not at all, and readers see the old one or the new one. One whose time is over
 * is `NOT_FOUND`, and `sweep` frees it. Errors are `MayflyError`.
 */
export interface KeptStore {
  /** `pieces` give `object.bytes` bytes together. Throws `BAD_REQUEST` where the name cannot be kept, see `checkKeptName`. */
  put(name: KeptName, object: KeptObject, pieces: AsyncIterable<Buffer>): Promise<void>
  /** Throws `NOT_FOUND`. `range` must lie within the object. */
  get(name: KeptName, range: { offset: number; length: number }): Promise<Buffer>
  /** Null where there is none. */
  stat(name: KeptName): Promise<KeptEntry | null>
  /** What its `put` said about it; null where there is no such object, or somebody else has put it there. */
  about(name: KeptName): Promise<Buffer | null>
  /** Whether there was one. `fence` is called right before it goes: what that throws keeps it. */
  remove(name: KeptName, fence?: () => void): Promise<boolean>
  /** In the order of their names' bytes. */
  list(query: KeptQuery): Promise<KeptEntry[]>
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

/** `JOB/BUCKET/KEY` */
export function formatName({ job, bucket, key }: KeptName): string {
  return `${job}/${bucket}/${key}`
}

/** Null where the text is no name: something that Mayfly has not put there. */
export function parseName(text: string): KeptName | null {
  const [job = '', bucket = '', ...rest] = text.split('/')
  const key = rest.join('/')
  return job === '' || bucket === '' || key === '' ? null : { job, bucket, key }
}

/**
 * Throws `BAD_REQUEST` unless a folder and S3 can both keep the name as it is: none of the parts between slashes may be
 * empty, `.` or `..`, or longer than a file's name may be.
 */
export function checkKeptName(name: KeptName): void {
  const text = formatName(name)
  if (Buffer.byteLength(text) > KEPT_NAME_BYTES_MAX)
    throw badName(name, `is longer than ${KEPT_NAME_BYTES_MAX} bytes`)
  for (const part of text.split('/')) {
    if (part === '' || part === '.' || part === '..')
      throw badName(name, `has the part '${part}' between slashes`)
    if (Buffer.byteLength(part) > KEPT_SEGMENT_BYTES_MAX)
      throw badName(name, `has a part between slashes that is longer than ${KEPT_SEGMENT_BYTES_MAX} bytes`)
  }
}

/** Of a key that cannot be kept beside others: `a` and `a/b`, where the store keeps them as a file and a folder. */
export function besideOthers(name: KeptName, cause: unknown): MayflyError {
  const what = `key: '${name.key}' cannot be kept, for another key that is kept is a folder of it, or it of the other`
  return new MayflyError('BAD_REQUEST', what, { cause })
}

export function noSuchObject(name: KeptName): MayflyError {
  return new MayflyError('NOT_FOUND', `Nothing is kept under ${formatName(name)}`)
}

function badName({ key }: KeptName, what: string): MayflyError {
  return new MayflyError(
    'BAD_REQUEST',
    `key: '${key}' cannot be kept, for its name with job and bucket ${what}`,
  )
}
