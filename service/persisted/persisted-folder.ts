import { randomUUID } from 'node:crypto'
import { readFileSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AssertionError } from '../../protocol/assert.ts'
import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { codeOf, isDiskFull } from '../process/system-error.ts'
import { filesBelow, pathsInOrder } from './folder-walk.ts'
import { PERSISTED_INCOMING_MS_MAX, PERSISTED_PLACE_TRIES_MAX } from './persisted-limits.ts'
import { decodeNotes, encodeNotes, fileIdOf, type Note } from './persisted-notes.ts'
import { nameAt, pathOf, pathPrefixOf } from './persisted-path.ts'
import {
  checkPersistedName,
  checkPersistedPrefix,
  formatName,
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
  type Stamp,
} from './persisted-store.ts'

/** The file of an object, expired or not. */
interface Found {
  readonly bytes: number
  readonly mtimeMs: number
  /** Null if the file was not written by Mayfly. */
  readonly note: Note | null
}

/**
 * Persisted objects as files: `kept/PATH`, a note about it at `kept-about/PATH`, and, if the object expires, a marker at `kept-expiry/PATH` that the sweep
 * reads. A note identifies its file by length and modification time. The next note is written first, beside the note of the present file, so the rename of the
 * file changes file and note in one step. A file is synced before it is renamed, and its folder after that.
 */
export class PersistedFolder implements PersistedStore {
  readonly #objects: string
  readonly #notes: string
  readonly #expiry: string
  readonly #incoming: string
  readonly #clock: Clock

  constructor(dir: string, clock: Clock) {
    this.#objects = join(dir, 'kept')
    this.#notes = join(dir, 'kept-about')
    this.#expiry = join(dir, 'kept-expiry')
    this.#incoming = join(dir, 'kept-incoming')
    this.#clock = clock
  }

  async put(
    name: PersistedName,
    object: PersistedObject,
    pieces: AsyncIterable<Buffer>,
    { fence }: PersistedPut = {},
  ): Promise<void> {
    checkPersistedName(name)
    const path = pathOf(name)
    let isPlaced = false
    const incoming: string[] = []
    try {
      for (const dir of [join(this.#objects, path), join(this.#notes, path)].map(dirname))
        await mkdir(dir, { recursive: true, mode: 0o700 })
      if (object.expiresAtMs !== 0) await this.#mark(path)
      const whole = await this.#receive(pieces, object.bytes)
      incoming.push(whole)
      for (let tries = 0; !isPlaced; tries++) {
        if (tries === PERSISTED_PLACE_TRIES_MAX) throw busy(name)
        const before = this.#findNow(path)
        if (isNewer(before?.note?.stamp ?? null, object.stamp)) throw isSuperseded(name)
        const note = await this.#noteOf(name, object, { whole, before })
        const notes = await this.#receive(once(encodeNotes(note, before?.note ?? null)))
        incoming.push(notes)
        // No other change comes between this check and the renames: they are one step of this process, and no other process has the lease.
        if (!isSameFile(this.#findNow(path), before)) continue
        fence?.()
        renameSync(notes, join(this.#notes, path))
        renameSync(whole, join(this.#objects, path))
        isPlaced = true
      }
      for (const dir of [this.#notes, this.#objects]) await syncFolder(dirname(join(dir, path)))
    } catch (error) {
      throw isPlaced ? notSynced(name, error) : translate(error, name)
    } finally {
      for (const file of incoming) await discard(file)
    }
  }

  async get(name: PersistedName, range: { offset: number; length: number }, stamp?: Stamp): Promise<Buffer> {
    checkPersistedName(name)
    const path = pathOf(name)
    let file: FileHandle | undefined
    try {
      file = await open(join(this.#objects, path))
      const found = await this.#describeFile(path, await file.stat())
      const isMeant =
        stamp === undefined ? !this.#isOver(found) : isSameStamp(found.note?.stamp ?? null, stamp)
      if (!isMeant) throw noSuchObject(name)
      const { bytesRead, buffer } = await file.read(Buffer.alloc(range.length), 0, range.length, range.offset)
      if (bytesRead === range.length) return buffer
      throw new MayflyError('OBJECT_LOST', `The file of ${formatName(name)} is shorter than it was`)
    } catch (error) {
      throw translate(error, name)
    } finally {
      await file?.close()
    }
  }

  async stat(name: PersistedName): Promise<PersistedStat | null> {
    const { about: _, ...entry } = (await this.describe(name)) ?? {}
    return 'key' in entry ? (entry as PersistedStat) : null
  }

  async describe(name: PersistedName): Promise<PersistedDescription | null> {
    checkPersistedName(name)
    const { job, bucket, key } = name
    const found = await this.#find(name)
    if (found === null || this.#isOver(found)) return null
    const { expiresAtMs = 0, stamp = null, about = null } = found.note ?? {}
    return { job, bucket, key, bytes: found.bytes, expiresAtMs, stamp, about }
  }

  async remove(name: PersistedName, by: Stamp | null, { fence }: PersistedRemoval = {}): Promise<boolean> {
    checkPersistedName(name)
    const path = pathOf(name)
    let isGone = false
    try {
      const found = this.#findNow(path)
      if (found === null || (by !== null && isNewer(found.note?.stamp ?? null, by))) return false
      fence?.()
      unlinkSync(join(this.#objects, path))
      isGone = true
      await this.#forget(path)
      return !this.#isOver(found)
    } catch (error) {
      throw isGone ? notSynced(name, error) : translate(error, name)
    }
  }

  async list({ prefix, after, limit }: PersistedQuery): Promise<PersistedPage> {
    checkPersistedPrefix(prefix)
    const pathPrefix = pathPrefixOf(prefix)
    if (pathPrefix === null) return { names: [], next: null }
    const names: PersistedName[] = []
    let last = ''
    let looked = 0
    try {
      for await (const path of pathsInOrder(this.#objects, { prefix: pathPrefix, after })) {
        if (looked++ === limit) return { names, next: last }
        last = path
        const name = await this.#nameOf(path)
        if (name !== null && formatName(name).startsWith(prefix)) names.push(name)
      }
    } catch (error) {
      throw translate(error, null)
    }
    return { names, next: null }
  }

  async sweep(hasEnded: (job: string) => boolean): Promise<number> {
    try {
      return await this.#sweep(hasEnded)
    } catch (error) {
      throw translate(error, null)
    }
  }

  async #sweep(hasEnded: (job: string) => boolean): Promise<number> {
    let removed = 0
    for await (const path of filesBelow(this.#expiry)) {
      if (!hasEnded(nameAt(path)?.job ?? '')) continue
      const found = this.#findNow(path)
      if (found !== null && !this.#isOver(found)) {
        // The object was put again without an expiry.
        if (found.note?.expiresAtMs === 0) await removeFile(join(this.#expiry, path))
        continue
      }
      if (found !== null) {
        unlinkSync(join(this.#objects, path))
        removed++
      }
      await this.#forget(path)
    }
    for await (const path of filesBelow(this.#incoming)) await this.#removeStale(join(this.#incoming, path))
    return removed
  }

  #isOver({ note }: Found): boolean {
    return isOver(note?.expiresAtMs ?? 0, this.#clock)
  }

  /** Synchronous, so that it is one step with the change that follows. */
  #findNow(path: string): Found | null {
    const file = statSync(join(this.#objects, path), { throwIfNoEntry: false })
    if (file === undefined || !file.isFile()) return null
    return foundOf(file, contentNow(join(this.#notes, path)))
  }

  async #find(name: PersistedName): Promise<Found | null> {
    const path = pathOf(name)
    try {
      return await this.#describeFile(path, await stat(join(this.#objects, path)))
    } catch (error) {
      if (isMissing(error)) return null
      throw translate(error, name)
    }
  }

  async #describeFile(path: string, file: { size: number; mtimeMs: number }): Promise<Found> {
    return foundOf(file, await contentOf(join(this.#notes, path)))
  }

  async #nameOf(path: string): Promise<PersistedName | null> {
    const name = nameAt(path)
    if (name === null) return null
    const { job, bucket } = name
    const key = name.key ?? this.#findNow(path)?.note?.key ?? ''
    return pathOf({ job, bucket, key }) === path ? { job, bucket, key } : null
  }

  /**
   * Two successive files of a path never have the same modification time in whole milliseconds. A time that is set may be stored up to a microsecond too early,
   * so the present file's time is rounded instead of truncated.
   */
  async #noteOf(
    name: PersistedName,
    { stamp, expiresAtMs, about, bytes }: PersistedObject,
    { whole, before }: { whole: string; before: Found | null },
  ): Promise<Note> {
    const file = await open(whole, 'r+')
    try {
      const { mtimeMs } = await file.stat()
      const changedMs = Math.max(Math.floor(mtimeMs), Math.round(before?.mtimeMs ?? 0) + 1)
      await file.utimes(changedMs / 1000, changedMs / 1000)
      await file.sync()
      return { file: fileIdOf({ size: bytes, mtimeMs: changedMs }), stamp, expiresAtMs, key: name.key, about }
    } finally {
      await file.close()
    }
  }

  async #mark(path: string): Promise<void> {
    await mkdir(dirname(join(this.#expiry, path)), { recursive: true, mode: 0o700 })
    const file = await open(join(this.#expiry, path), 'w', 0o600)
    await file.close()
  }

  /** Removes the note and the expiry marker of an object that is gone. */
  async #forget(path: string): Promise<void> {
    for (const dir of [this.#notes, this.#expiry]) await removeFile(join(dir, path))
    await syncFolder(dirname(join(this.#objects, path)))
  }

  /** Writes and syncs all bytes to a file under a name that no reader looks up. */
  async #receive(pieces: AsyncIterable<Buffer>, bytes?: number): Promise<string> {
    await mkdir(this.#incoming, { recursive: true, mode: 0o700 })
    const path = join(this.#incoming, randomUUID())
    const file = await open(path, 'wx', 0o600)
    try {
      const written = await writeAll(file, pieces)
      if (bytes !== undefined && written !== bytes)
        throw new MayflyError('OBJECT_LOST', `${written} of the ${bytes} bytes of the object are left`)
      await file.sync()
      return path
    } catch (error) {
      await discard(path)
      throw error
    } finally {
      await file.close()
    }
  }

  /** Removes incomplete files of a process that was killed. */
  async #removeStale(path: string): Promise<void> {
    try {
      const { mtimeMs } = await stat(path)
      if (mtimeMs + PERSISTED_INCOMING_MS_MAX < this.#clock.wallMs()) await unlink(path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
}

function foundOf(file: { size: number; mtimeMs: number }, notes: Buffer | null): Found {
  const id = fileIdOf(file)
  const note = decodeNotes(notes).find((each) => each.file === id) ?? null
  return { bytes: file.size, mtimeMs: file.mtimeMs, note }
}

function isSameFile(a: Found | null, b: Found | null): boolean {
  return a?.bytes === b?.bytes && a?.mtimeMs === b?.mtimeMs
}

async function writeAll(file: FileHandle, pieces: AsyncIterable<Buffer>): Promise<number> {
  let written = 0
  for await (const piece of pieces) {
    await file.writeFile(piece)
    written += piece.length
  }
  return written
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/** A rename is durable only after its folder is synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Null if the file does not exist. */
async function contentOf(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

function contentNow(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** Removes an incoming file. If that fails, the sweep removes it later. */
async function discard(path: string): Promise<void> {
  try {
    await removeFile(path)
  } catch (error) {
    if (codeOf(error) === 'unknown') throw error
  }
}

/** The change was made, but the disk has not confirmed that it is durable. */
function notSynced(name: PersistedName, cause: unknown): MayflyError {
  const what = `The change of ${formatName(name)} may not outlive a power failure`
  return new MayflyError('OUTCOME_UNKNOWN', what, { cause })
}

function busy(name: PersistedName): MayflyError {
  return new MayflyError('UNAVAILABLE', `Others put ${formatName(name)} at the same time again and again`)
}

/** `name` is null if several objects were involved. */
function translate(error: unknown, name: PersistedName | null): unknown {
  if (error instanceof MayflyError || error instanceof AssertionError) return error
  if (name !== null && isMissing(error)) return noSuchObject(name)
  if (isDiskFull(error))
    return new MayflyError('CAPACITY_EXCEEDED', 'The disk of the persistent store is full', { cause: error })
  return new MayflyError('UNAVAILABLE', `The persistent store cannot use its disk (${codeOf(error)})`, {
    cause: error,
  })
}

/** If a parent of the path is a file, the path does not exist either. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error))
}
