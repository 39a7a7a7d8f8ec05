import { dirname } from 'node:path'
import type { SeededRandom } from '../world/random.ts'

export interface Inode {
  content: Buffer
  mtimeMs: number
  readonly isFolder: boolean
}

/** A file system in memory, by path. It survives every process. */
export class FolderDisk {
  readonly #nodes = new Map<string, Inode>([['/', folderAt(0)]])
  readonly #nowMs: () => number

  /** `nowMs` is the clock of modification times. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Throws `ENOENT`. */
  find(path: string): Inode {
    const found = this.#nodes.get(path)
    if (found === undefined) throw failed('ENOENT', path)
    return found
  }

  has(path: string): boolean {
    return this.#nodes.has(path)
  }

  /** Creates an empty file. */
  create(path: string): Inode {
    if (!this.find(dirname(path)).isFolder) throw failed('ENOTDIR', path)
    const file = { content: Buffer.alloc(0), mtimeMs: this.#nowMs(), isFolder: false }
    this.#nodes.set(path, file)
    return file
  }

  makeFolder(path: string): void {
    if (this.#nodes.get(path)?.isFolder) return
    if (this.has(path)) throw failed('EEXIST', path)
    this.makeFolder(dirname(path))
    this.#nodes.set(path, folderAt(this.#nowMs()))
  }

  append(file: Inode, bytes: Uint8Array): void {
    file.content = Buffer.concat([file.content, bytes])
    file.mtimeMs = this.#nowMs()
  }

  rename(from: string, to: string): void {
    const file = this.find(from)
    if (!this.find(dirname(to)).isFolder) throw failed('ENOTDIR', to)
    this.#nodes.set(to, file)
    this.#nodes.delete(from)
  }

  remove(path: string): void {
    this.find(path)
    this.#nodes.delete(path)
  }

  /** Names in a folder, in random order. */
  list(path: string, random: SeededRandom): { name: string; isFolder: boolean }[] {
    if (!this.find(path).isFolder) throw failed('ENOTDIR', path)
    const names = [...this.#nodes].flatMap(([at, { isFolder }]) =>
      at !== '/' && dirname(at) === path
        ? [{ name: at.slice(path === '/' ? 1 : path.length + 1), isFolder }]
        : [],
    )
    return random.chance(0.5) ? names.reverse() : names
  }

  /** Paths of all files. */
  get files(): string[] {
    return [...this.#nodes].flatMap(([path, { isFolder }]) => (isFolder ? [] : [path]))
  }
}

/** An error of the file system. */
export function failed(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

function folderAt(mtimeMs: number): Inode {
  return { content: Buffer.alloc(0), mtimeMs, isFolder: true }
}
