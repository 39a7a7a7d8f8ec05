import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { AssertionError } from '../../protocol/assert.ts'
import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { onePiece } from '../one-piece.ts'
import { codeOf, isDiskFull } from '../system-error.ts'
import { KEPT_INCOMING_MS_MAX } from './kept-limits.ts'
import {
  besideOthers,
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

/**
 * Kept objects as files: `kept/JOB/BUCKET/KEY`, and beside it `kept-about/JOB/BUCKET/KEY` and, where an object expires,
 * `kept-expiry/JOB/BUCKET/KEY` with the moment in it. A file comes under its name whole, synced with its folder. It comes before those
 * beside it: a crash between them leaves a put that nobody was told of, and takes nothing from an object that was kept for good.
 */
export class KeptFolder implements KeptStore {
  readonly #objects: string
  readonly #about: string
  readonly #expiry: string
  readonly #incoming: string
  readonly #clock: Clock

  constructor(dir: string, clock: Clock) {
    this.#objects = join(dir, 'kept')
    this.#about = join(dir, 'kept-about')
    this.#expiry = join(dir, 'kept-expiry')
    this.#incoming = join(dir, 'kept-incoming')
    this.#clock = clock
  }

  async put(
    name: KeptName,
    { bytes, expiresAtMs, about }: KeptObject,
    pieces: AsyncIterable<Buffer>,
  ): Promise<void> {
    checkKeptName(name)
    const path = formatName(name)
    try {
      await this.#place(join(this.#objects, path), pieces, bytes)
      await this.#place(join(this.#about, path), onePiece(about), about.length)
      if (expiresAtMs === 0) return await removeFile(join(this.#expiry, path))
      const moment = Buffer.from(String(expiresAtMs))
      await this.#place(join(this.#expiry, path), onePiece(moment), moment.length)
    } catch (error) {
      throw translate(error, name)
    }
  }

  async get(name: KeptName, range: { offset: number; length: number }): Promise<Buffer> {
    if ((await this.stat(name)) === null) throw noSuchObject(name)
    let file: FileHandle | undefined
    try {
      file = await open(join(this.#objects, formatName(name)))
      const { bytesRead, buffer } = await file.read(Buffer.alloc(range.length), 0, range.length, range.offset)
      if (bytesRead === range.length) return buffer
      throw new MayflyError('OBJECT_LOST', `The file of ${formatName(name)} is shorter than it was`)
    } catch (error) {
      throw translate(error, name)
    } finally {
      await file?.close()
    }
  }

  async stat(name: KeptName): Promise<KeptEntry | null> {
    checkKeptName(name)
    return await translating(name, () => this.#stat(name))
  }

  async #stat(name: KeptName): Promise<KeptEntry | null> {
    const path = formatName(name)
    const found = await fileSize(join(this.#objects, path))
    if (found === null) return null
    const expiresAtMs = await this.#expiresAtMs(path)
    return isOver(expiresAtMs, this.#clock) ? null : { ...name, bytes: found, expiresAtMs }
  }

  async about(name: KeptName): Promise<Buffer | null> {
    if ((await this.stat(name)) === null) return null
    return await translating(name, () => contentOf(join(this.#about, formatName(name))))
  }

  async remove(name: KeptName, fence?: () => void): Promise<boolean> {
    const existed = (await this.stat(name)) !== null
    fence?.()
    await translating(name, () => this.#remove(formatName(name)))
    return existed
  }

  async list(query: KeptQuery): Promise<KeptEntry[]> {
    return await translating(null, () => this.#list(query))
  }

  async #list({ prefix, after, limit }: KeptQuery): Promise<KeptEntry[]> {
    // The folder above the last slash holds all that can start with the prefix.
    const above = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    const paths = (await filesBelow(join(this.#objects, above)))
      .map((path) => above + path)
      .filter((path) => path.startsWith(prefix) && compareBytes(path, after) > 0)
      .sort(compareBytes)
    const entries: KeptEntry[] = []
    for (const path of paths) {
      const name = parseName(path)
      const entry = name === null ? null : await this.stat(name)
      if (entry !== null) entries.push(entry)
      if (entries.length === limit) break
    }
    return entries
  }

  async sweep(hasEnded: (job: string) => boolean): Promise<number> {
    return await translating(null, () => this.#sweep(hasEnded))
  }

  async #sweep(hasEnded: (job: string) => boolean): Promise<number> {
    let removed = 0
    for (const path of await filesBelow(this.#expiry)) {
      const name = parseName(path)
      if (name === null || !hasEnded(name.job) || !isOver(await this.#expiresAtMs(path), this.#clock))
        continue
      if ((await fileSize(join(this.#objects, path))) !== null) removed++
      await this.#remove(path)
    }
    for (const path of await filesBelow(this.#incoming)) await this.#removeStale(join(this.#incoming, path))
    return removed
  }

  async #remove(path: string): Promise<void> {
    for (const dir of [this.#objects, this.#about, this.#expiry]) await removeFile(join(dir, path))
  }

  /** Writes a file under another name and puts it in its place when it is whole and safe. */
  async #place(path: string, pieces: AsyncIterable<Buffer>, bytes: number): Promise<void> {
    await mkdir(this.#incoming, { recursive: true, mode: 0o700 })
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const incoming = join(this.#incoming, randomUUID())
    const file = await open(incoming, 'wx', 0o600)
    try {
      const written = await writeAll(file, pieces)
      if (written !== bytes)
        throw new MayflyError('OBJECT_LOST', `${written} of the ${bytes} bytes of the object are left`)
      await file.sync()
      await rename(incoming, path)
      await syncFolder(dirname(path))
    } catch (error) {
      await removeFile(incoming)
      throw error
    } finally {
      await file.close()
    }
  }

  async #expiresAtMs(path: string): Promise<number> {
    return Number(await contentOf(join(this.#expiry, path)))
  }

  /** What a process that was killed has left behind. */
  async #removeStale(path: string): Promise<void> {
    try {
      const { mtimeMs } = await stat(path)
      if (mtimeMs + KEPT_INCOMING_MS_MAX < this.#clock.wallMs()) await unlink(path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
}

async function writeAll(file: FileHandle, pieces: AsyncIterable<Buffer>): Promise<number> {
  let written = 0
  for await (const piece of pieces) {
    await file.writeFile(piece)
    written += piece.length
  }
  return written
}

/** A rename lasts only once its folder is written too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Paths of all files below a folder, relative to it; none where there is no folder. */
async function filesBelow(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Null where there is no file. */
async function fileSize(path: string): Promise<number | null> {
  try {
    const found = await stat(path)
    return found.isFile() ? found.size : null
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** Null where there is no file. */
async function contentOf(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isMissing(error) && codeOf(error) !== 'EISDIR') throw error
  }
}

async function translating<Result>(name: KeptName | null, task: () => Promise<Result>): Promise<Result> {
  try {
    return await task()
  } catch (error) {
    throw translate(error, name)
  }
}

/** `name` is null where many objects were looked at. */
function translate(error: unknown, name: KeptName | null): unknown {
  if (error instanceof MayflyError || error instanceof AssertionError) return error
  if (name !== null && isMissing(error)) return noSuchObject(name)
  if (name !== null && ['EISDIR', 'EEXIST', 'ENOTDIR', 'ENOTEMPTY'].includes(codeOf(error)))
    return besideOthers(name, error)
  if (isDiskFull(error))
    return new MayflyError('CAPACITY_EXCEEDED', 'The disk of the kept store is full', { cause: error })
  return new MayflyError('UNAVAILABLE', `The kept store cannot use its disk (${codeOf(error)})`, {
    cause: error,
  })
}

/** A parent that is a file has nothing below it either. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error))
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
