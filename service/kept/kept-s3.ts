import { createHash } from 'node:crypto'
import { isError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { upload } from '../s3/multipart.ts'
import type { S3Bucket } from '../s3/s3-bucket.ts'
import { KEPT_ABOUT_INLINE_MAX, KEPT_SWEEP_PAGE } from './kept-limits.ts'
import {
  checkKeptName,
  formatName,
  isOver,
  type KeptEntry,
  type KeptName,
  type KeptObject,
  type KeptQuery,
  type KeptStore,
  noSuchObject,
  parseName,
} from './kept-store.ts'

const OBJECTS = 'kept/'
/** What is said about an object, where that is too long to go along with it. */
const ABOUT = 'kept-about/'
/** Before each name here stands the moment, with zeros in front, so that what is due comes first. */
const EXPIRY = 'kept-expiry/'
const MOMENT_DIGITS = 15
/** In an object's metadata: what is true of it. The name under `kept-expiry/` only says when to look. */
const EXPIRES_AT_MS = 'expires-at-ms'
/** In an object's metadata: what is said about it, or the hash of what lies apart, which another put may have written since. */
const SAYS = 'about'
const SAYS_APART = 'about-sha256'

/** Kept objects on S3, each under `kept/JOB/BUCKET/KEY`. */
export class KeptS3 implements KeptStore {
  readonly #bucket: S3Bucket
  readonly #clock: Clock

  constructor(bucket: S3Bucket, clock: Clock) {
    this.#bucket = bucket
    this.#clock = clock
  }

  async put(
    name: KeptName,
    { bytes, expiresAtMs, about }: KeptObject,
    pieces: AsyncIterable<Buffer>,
  ): Promise<void> {
    checkKeptName(name)
    const path = formatName(name)
    if (expiresAtMs !== 0) await this.#bucket.put(EXPIRY + momentOf(expiresAtMs) + path, Buffer.alloc(0))
    const isApart = about.length > KEPT_ABOUT_INLINE_MAX
    if (isApart) await this.#bucket.put(ABOUT + path, about)
    const metadata = {
      ...(expiresAtMs !== 0 && { [EXPIRES_AT_MS]: String(expiresAtMs) }),
      ...(isApart ? { [SAYS_APART]: hashOf(about) } : { [SAYS]: about.toString('base64') }),
    }
    await upload(this.#bucket, { key: OBJECTS + path, bytes, metadata }, pieces)
  }

  async get(name: KeptName, range: { offset: number; length: number }): Promise<Buffer> {
    if ((await this.stat(name)) === null) throw noSuchObject(name)
    if (range.length === 0) return Buffer.alloc(0)
    try {
      return await this.#bucket.get(OBJECTS + formatName(name), range)
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) throw noSuchObject(name)
      throw error
    }
  }

  async stat(name: KeptName): Promise<KeptEntry | null> {
    checkKeptName(name)
    const found = await this.#bucket.head(OBJECTS + formatName(name))
    if (found === null) return null
    const expiresAtMs = Number(found.metadata[EXPIRES_AT_MS] ?? 0)
    return isOver(expiresAtMs, this.#clock) ? null : { ...name, bytes: found.bytes, expiresAtMs }
  }

  async about(name: KeptName): Promise<Buffer | null> {
    checkKeptName(name)
    const path = formatName(name)
    const { metadata = {} } = (await this.#bucket.head(OBJECTS + path)) ?? {}
    if (isOver(Number(metadata[EXPIRES_AT_MS] ?? 0), this.#clock)) return null
    const { [SAYS]: says, [SAYS_APART]: hash } = metadata
    if (hash === undefined) return says === undefined ? null : Buffer.from(says, 'base64')
    try {
      const about = await this.#bucket.get(ABOUT + path)
      return hashOf(about) === hash ? about : null
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return null
      throw error
    }
  }

  async remove(name: KeptName, fence?: () => void): Promise<boolean> {
    const existed = (await this.stat(name)) !== null
    fence?.()
    await this.#bucket.delete(keysOf(formatName(name)))
    return existed
  }

  /** One page of the endpoint after the other, until enough of what it names is there. */
  async list({ prefix, after, limit }: KeptQuery): Promise<KeptEntry[]> {
    const entries: KeptEntry[] = []
    for (let from = after; entries.length < limit; ) {
      const page = await this.#bucket.list({
        prefix: OBJECTS + prefix,
        after: from === '' ? '' : OBJECTS + from,
        limit: limit - entries.length,
      })
      const names = page.map(({ key }) => parseName(key.slice(OBJECTS.length)))
      const found = await Promise.all(names.map((name) => (name === null ? null : this.stat(name))))
      entries.push(...found.filter((entry) => entry !== null))
      const last = page.at(-1)
      if (last === undefined) break
      from = last.key.slice(OBJECTS.length)
    }
    return entries
  }

  async sweep(hasEnded: (job: string) => boolean): Promise<number> {
    let removed = 0
    for (let after = ''; ; ) {
      const page = await this.#bucket.list({ prefix: EXPIRY, after, limit: KEPT_SWEEP_PAGE })
      const due = page.filter(({ key }) =>
        isOver(Number(key.slice(EXPIRY.length, EXPIRY.length + MOMENT_DIGITS)), this.#clock),
      )
      const moments = due.map(({ key }) => key).filter((key) => hasEnded(jobOf(pathOf(key))))
      const outcomes = await Promise.all(moments.map((key) => this.#expired(pathOf(key))))
      const paths = outcomes.filter((path) => path !== null)
      await this.#bucket.delete(paths.flatMap(keysOf))
      await this.#bucket.delete(moments)
      removed += paths.length
      const last = page.at(-1)
      if (due.length < KEPT_SWEEP_PAGE || last === undefined) return removed
      after = last.key
    }
  }

  /** The path, if its object is there and has expired: it may have been put anew since, with another moment or for good. */
  async #expired(path: string): Promise<string | null> {
    const found = await this.#bucket.head(OBJECTS + path)
    return found !== null && isOver(Number(found.metadata[EXPIRES_AT_MS] ?? 0), this.#clock) ? path : null
  }
}

function momentOf(expiresAtMs: number): string {
  return `${String(expiresAtMs).padStart(MOMENT_DIGITS, '0')}/`
}

/** `JOB/BUCKET/KEY`, behind a moment. */
function pathOf(moment: string): string {
  return moment.slice(EXPIRY.length + MOMENT_DIGITS + 1)
}

/** Of an object and of what is said about it apart. */
function keysOf(path: string): string[] {
  return [OBJECTS + path, ABOUT + path]
}

function hashOf(about: Buffer): string {
  return createHash('sha256').update(about).digest('base64')
}

function jobOf(path: string): string {
  return path.slice(0, path.indexOf('/'))
}
