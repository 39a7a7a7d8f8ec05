import { createHash } from 'node:crypto'
import { isError, MayflyError } from '../../protocol/errors.ts'
import { type Clock, sleep } from '../../protocol/runtime.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import { upload } from '../s3/multipart.ts'
import type { S3Bucket, S3Head, S3Page, S3Position } from '../s3/s3-bucket.ts'
import type { Condition } from '../s3/s3-condition.ts'
import { S3_ATTEMPTS_MAX, S3_RETRY_MS } from '../s3/s3-limits.ts'
import { outcomeOf } from '../s3/s3-outcome.ts'
import {
  PERSISTED_ABOUT_INLINE_MAX,
  PERSISTED_CHANGES_IN_FLIGHT,
  PERSISTED_PLACE_TRIES_MAX,
  PERSISTED_SWEEP_PAGE,
} from './persisted-limits.ts'
import { nameAt, pathOf, pathPrefixOf } from './persisted-path.ts'
import {
  checkPersistedName,
  checkPersistedPrefix,
  formatName,
  formatStamp,
  isNewer,
  isOver,
  isSameStamp,
  isSuperseded,
  noSuchObject,
  type PersistedDescription,
  type PersistedName,
  type PersistedObject,
  type PersistedPage,
  type PersistedPut,
  type PersistedQuery,
  type PersistedRemoval,
  type PersistedStat,
  type PersistedStore,
  parseStamp,
  type Stamp,
} from './persisted-store.ts'

const OBJECTS = 'kept/'
/** Prefix of descriptions that are too long for the object's metadata: the object's path, then the stamp of its put. */
const ABOUT = 'kept-about/'
/** Prefix of expiry markers: the time, padded with zeros, then the path, so that a listing returns due markers first. */
const EXPIRY = 'kept-expiry/'
const MOMENT_DIGITS = 15
/** Metadata name of the object's expiry, which is authoritative. The marker under `kept-expiry/` only says when to check it. */
const EXPIRES_AT_MS = 'expires-at-ms'
const STAMP = 'stamp'
/** Metadata name of the description, or of its hash if it is stored separately. */
const SAYS = 'about'
const SAYS_APART = 'about-sha256'
/** Metadata name of the key, if the path is cut. */
const KEY = 'key'

/** An expiry in the past. */
const OVER_MS = 1

/** An object, expired or not. */
interface Found extends PersistedStat {
  readonly tag: string
  readonly metadata: S3Head['metadata']
}

/** Persisted objects on S3, each under `kept/` and its path. Every replacement is conditional on the ETag of the object that it replaces. */
export class PersistedS3 implements PersistedStore {
  readonly #bucket: S3Bucket
  readonly #clock: Clock

  constructor(bucket: S3Bucket, clock: Clock) {
    this.#bucket = bucket
    this.#clock = clock
  }

  async put(
    name: PersistedName,
    object: PersistedObject,
    pieces: AsyncIterable<Buffer>,
    options: PersistedPut = {},
  ): Promise<void> {
    checkPersistedName(name)
    const { bytes, expiresAtMs, about, stamp } = object
    const path = pathOf(name)
    if (expiresAtMs !== 0) await this.#bucket.put(EXPIRY + momentOf(expiresAtMs) + path, Buffer.alloc(0))
    const isCut = nameAt(path)?.key === null
    const isApart = isCut || about.length > PERSISTED_ABOUT_INLINE_MAX
    if (isApart) await this.#bucket.put(aboutKeyOf(path, stamp), about)
    const metadata = {
      [STAMP]: formatStamp(stamp),
      ...(expiresAtMs !== 0 && { [EXPIRES_AT_MS]: String(expiresAtMs) }),
      ...(isCut && { [KEY]: Buffer.from(name.key).toString('base64') }),
      ...(isApart ? { [SAYS_APART]: hashOf(about) } : { [SAYS]: about.toString('base64') }),
    }
    await upload(this.#bucket, { key: OBJECTS + path, bytes, metadata }, pieces, (write) =>
      this.#place(name, { ...options, stamp }, write),
    )
  }

  async get(name: PersistedName, range: { offset: number; length: number }, stamp?: Stamp): Promise<Buffer> {
    for (let tries = 0; tries < PERSISTED_PLACE_TRIES_MAX; tries++) {
      const found = stamp === undefined ? await this.#living(name) : await this.#find(name)
      if (found === null || (stamp !== undefined && !isSameStamp(found.stamp, stamp))) break
      if (range.length === 0) return Buffer.alloc(0)
      try {
        return await this.#bucket.get(OBJECTS + pathOf(name), { ...range, tag: found.tag })
      } catch (error) {
        // The object was replaced after it was looked up.
        if (!isError(error, 'NOT_FOUND', 'VERSION_MISMATCH')) throw error
      }
    }
    throw noSuchObject(name)
  }

  async stat(name: PersistedName): Promise<PersistedStat | null> {
    const found = await this.#living(name)
    return found === null ? null : entryOf(found)
  }

  async describe(name: PersistedName): Promise<PersistedDescription | null> {
    const found = await this.#living(name)
    return found === null ? null : { ...entryOf(found), about: await this.#aboutOf(found) }
  }

  async remove(name: PersistedName, by: Stamp | null, options: PersistedRemoval = {}): Promise<boolean> {
    const { contended = false, fence } = options
    const key = OBJECTS + pathOf(name)
    for (let tries = 0; tries < PERSISTED_PLACE_TRIES_MAX; tries++) {
      const found = await this.#find(name)
      if (found === null || (by !== null && isNewer(found.stamp, by))) return false
      fence?.()
      try {
        if (contended) await this.#replaceWithExpired(name, found)
        else await this.#bucket.deleteOne(key, found.tag)
      } catch (error) {
        const after = await this.#lookAgain(name, { error, tries })
        // The object is unchanged, so a deletion without an answer may still be carried out.
        if (after !== undefined && after?.tag === found.tag && outcomeOf(error) === 'unanswered')
          throw outcomeUnknown(name, error)
        if (after !== null) continue
      }
      await this.#forget(found)
      return !isOver(found.expiresAtMs, this.#clock)
    }
    throw new MayflyError('UNAVAILABLE', `The store does not remove ${formatName(name)}`)
  }

  async list({ prefix, after, limit }: PersistedQuery): Promise<PersistedPage> {
    checkPersistedPrefix(prefix)
    const pathPrefix = pathPrefixOf(prefix)
    if (pathPrefix === null) return { names: [], next: null }
    const { entries, next } = await this.#bucket.list({
      prefix: OBJECTS + pathPrefix,
      after: after === '' ? null : positionAt(after),
      limit,
    })
    const paths = entries.map(({ key }) => key.slice(OBJECTS.length))
    const names: (PersistedName | null)[] = new Array(paths.length).fill(null)
    await runInFlight(paths.keys(), PERSISTED_CHANGES_IN_FLIGHT, async (at) => {
      names[at] = await this.#nameOf(paths[at] ?? '')
    })
    return {
      names: names.flatMap((name) => (name !== null && formatName(name).startsWith(prefix) ? [name] : [])),
      next: next === null ? null : `${next.token} ${next.key}`,
    }
  }

  async sweep(hasEnded: (job: string) => boolean): Promise<number> {
    let removed = 0
    for (let after: S3Position | null = null; ; ) {
      const { entries, next }: S3Page = await this.#bucket.list({
        prefix: EXPIRY,
        after,
        limit: PERSISTED_SWEEP_PAGE,
      })
      const due = entries.filter(({ key }) => isOver(momentAt(key), this.#clock))
      const ended = due.map(({ key }) => key).filter((key) => hasEnded(nameAt(pathAt(key))?.job ?? ''))
      const outcomes = await Promise.all(ended.map((key) => this.#expired(pathAt(key))))
      const found = outcomes.filter((each) => each !== null)
      await this.#bucket.delete(found.flatMap(({ keys }) => keys))
      await this.#bucket.delete(ended)
      removed += found.filter(({ isObject }) => isObject).length
      // Markers are listed in order of time, so after one that is not due there is none that is.
      if (next === null || due.length < entries.length) return removed
      after = next
    }
  }

  /**
   * Makes an object visible if the present object is still the one that was looked up; a late or concurrent write replaces nothing that it has not seen. The
   * outcome of a write without a clear answer is looked up by its stamp.
   */
  async #place(
    name: PersistedName,
    { stamp, fence, isNew = false }: PersistedPut & { stamp: Stamp },
    write: (over: Condition) => Promise<void>,
  ): Promise<void> {
    let before = isNew ? null : await this.#find(name)
    for (let tries = 0; tries < PERSISTED_PLACE_TRIES_MAX; tries++) {
      if (before !== null && isNewer(before.stamp, stamp)) throw isSuperseded(name)
      fence?.()
      try {
        await write(before === null ? { isAbsent: true } : { tag: before.tag })
        return await this.#forget(before, stamp)
      } catch (error) {
        const found = await this.#lookAgain(name, { error, tries })
        if (found === undefined) continue
        if (isSameStamp(found?.stamp ?? null, stamp)) return await this.#forget(before, stamp)
        if (outcomeOf(error) === 'unanswered') throw outcomeUnknown(name, error)
        before = found
      }
    }
    throw new MayflyError('UNAVAILABLE', `Others put ${formatName(name)} at the same time again and again`)
  }

  /**
   * Looks up the object after a failed change. Undefined if the change was not sent and may be sent again. Throws the error if the change was refused or tried
   * often enough, and `OUTCOME_UNKNOWN` if the outcome cannot be determined.
   */
  async #lookAgain(
    name: PersistedName,
    { error, tries }: { error: unknown; tries: number },
  ): Promise<Found | null | undefined> {
    const outcome = outcomeOf(error)
    const mayRepeat = tries < S3_ATTEMPTS_MAX - 1
    if (outcome === 'refused' || (outcome === 'unsent' && !mayRepeat)) throw error
    if (isError(error, 'UNAVAILABLE')) await sleep(this.#clock, S3_RETRY_MS * 2 ** tries)
    if (outcome === 'unsent') return undefined
    try {
      return await this.#find(name)
    } catch {
      throw outcomeUnknown(name, error)
    }
  }

  /** Replaces an object by an empty, expired one, since a put can be conditional on what it replaces and a deletion cannot. */
  async #replaceWithExpired(name: PersistedName, found: Found): Promise<void> {
    const path = pathOf(name)
    await this.#bucket.put(EXPIRY + momentOf(OVER_MS) + path, Buffer.alloc(0))
    const metadata = { [EXPIRES_AT_MS]: String(OVER_MS), [STAMP]: found.metadata[STAMP] ?? '' }
    await this.#bucket.write({ key: OBJECTS + path, body: Buffer.alloc(0), metadata }, { tag: found.tag })
  }

  /** Removes the separate description of an object that is gone. A failure only wastes space, since nobody reads the description. */
  async #forget(gone: Found | null, by: Stamp | null = null): Promise<void> {
    if (gone?.stamp == null || gone.metadata[SAYS_APART] === undefined) return
    if (by !== null && isSameStamp(gone.stamp, by)) return
    try {
      await this.#bucket.delete([aboutKeyOf(pathOf(gone), gone.stamp)])
    } catch (error) {
      if (!(error instanceof MayflyError)) throw error
    }
  }

  async #aboutOf({ metadata, stamp, ...name }: Found): Promise<Buffer | null> {
    const { [SAYS]: says, [SAYS_APART]: hash } = metadata
    if (says !== undefined) return Buffer.from(says, 'base64')
    if (hash === undefined || stamp === null) return null
    try {
      const about = await this.#bucket.get(aboutKeyOf(pathOf(name), stamp))
      return hashOf(about) === hash ? about : null
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return null
      throw error
    }
  }

  /** The object, unless it has expired. */
  async #living(name: PersistedName): Promise<Found | null> {
    const found = await this.#find(name)
    return found === null || isOver(found.expiresAtMs, this.#clock) ? null : found
  }

  async #find(name: PersistedName): Promise<Found | null> {
    checkPersistedName(name)
    const head = await this.#bucket.head(OBJECTS + pathOf(name))
    if (head === null) return null
    const { bytes, tag, metadata } = head
    const expiresAtMs = Number(metadata[EXPIRES_AT_MS] ?? 0)
    return { ...name, bytes, expiresAtMs, stamp: parseStamp(metadata[STAMP]), tag, metadata }
  }

  /** Null if the path was not generated by Mayfly. */
  async #nameOf(path: string): Promise<PersistedName | null> {
    const name = nameAt(path)
    if (name === null) return null
    const { job, bucket } = name
    if (name.key !== null) return { job, bucket, key: name.key }
    const { metadata = {} } = (await this.#bucket.head(OBJECTS + path)) ?? {}
    const key = Buffer.from(metadata[KEY] ?? '', 'base64').toString()
    return pathOf({ job, bucket, key }) === path ? { job, bucket, key } : null
  }

  /** What to delete for a due marker, if its object has expired. The object may have been put again since, with a later expiry or without one. */
  async #expired(path: string): Promise<{ keys: string[]; isObject: boolean } | null> {
    const head = await this.#bucket.head(OBJECTS + path)
    const expiresAtMs = Number(head?.metadata[EXPIRES_AT_MS] ?? 0)
    if (head === null || !isOver(expiresAtMs, this.#clock)) return null
    const stamp = parseStamp(head.metadata[STAMP])
    const isApart = stamp !== null && head.metadata[SAYS_APART] !== undefined
    const keys = [OBJECTS + path, ...(isApart ? [aboutKeyOf(path, stamp)] : [])]
    return { keys, isObject: expiresAtMs !== OVER_MS }
  }
}

function entryOf({ job, bucket, key, bytes, expiresAtMs, stamp }: Found): PersistedStat {
  return { job, bucket, key, bytes, expiresAtMs, stamp }
}

function outcomeUnknown(name: PersistedName, cause: unknown): MayflyError {
  const what = `The store did not say what became of ${formatName(name)}`
  return new MayflyError('OUTCOME_UNKNOWN', what, { cause })
}

/** Parses a position that `list` has returned. */
function positionAt(after: string): S3Position {
  const end = after.indexOf(' ')
  if (end < 0) throw new MayflyError('BAD_REQUEST', 'after: it is not the `next` of a page before')
  return { token: after.slice(0, end), key: after.slice(end + 1) }
}

function aboutKeyOf(path: string, stamp: Stamp): string {
  return `${ABOUT}${path}.${formatStamp(stamp)}`
}

function momentOf(expiresAtMs: number): string {
  return `${String(expiresAtMs).padStart(MOMENT_DIGITS, '0')}/`
}

function momentAt(key: string): number {
  return Number(key.slice(EXPIRY.length, EXPIRY.length + MOMENT_DIGITS))
}

/** The path after the time. */
function pathAt(key: string): string {
  return key.slice(EXPIRY.length + MOMENT_DIGITS + 1)
}

function hashOf(about: Buffer): string {
  return createHash('sha256').update(about).digest('base64')
}
