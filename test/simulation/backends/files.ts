import type { Host } from '../world/host.ts'
import type { SeededRandom } from '../world/random.ts'
import type { BackendFaults } from './backend-faults.ts'
import { type FolderDisk, failed, type Inode } from './folder-disk.ts'

/**
 * The parts of `node:fs` and `node:fs/promises` that the persistent folder uses; the bundle replaces the modules by this file. The first part of a path names
 * the calling process; the rest is on a disk that processes share.
 */

export interface Mount {
  readonly disk: FolderDisk
  readonly host: Host
  readonly random: SeededRandom
  readonly faults: BackendFaults
  /** Maximum duration of an access without a fault. */
  readonly msMax: number
}

const mounts = new Map<string, Mount>()

/** Returns the path under which a process finds the disk. */
export function mount(of: Mount): string {
  mounts.set(of.host.id, of)
  return `/${of.host.id}`
}

interface Status {
  readonly size: number
  readonly mtimeMs: number
  isFile(): boolean
}

/** @public */
export function statSync(path: string, _: { throwIfNoEntry: false }): Status | undefined {
  return now(path, ({ disk }, at) => (disk.has(at) ? statusOf(disk.find(at)) : undefined))
}

/** @public */
export function readFileSync(path: string): Buffer {
  return now(path, ({ disk }, at) => Buffer.from(disk.find(at).content))
}

/** @public */
export function renameSync(from: string, to: string): void {
  now(from, ({ disk }, at) => disk.rename(at, located(to).at))
}

/** @public */
export function unlinkSync(path: string): void {
  now(path, ({ disk }, at) => disk.remove(at))
}

/** @public */
export function mkdir(path: string): Promise<void> {
  return later(path, ({ disk }, at) => disk.makeFolder(at))
}

/** @public */
export function readFile(path: string): Promise<Buffer> {
  return later(path, ({ disk }, at) => Buffer.from(disk.find(at).content))
}

/** @public */
export function stat(path: string): Promise<Status> {
  return later(path, ({ disk }, at) => statusOf(disk.find(at)))
}

/** @public */
export function unlink(path: string): Promise<void> {
  return later(path, ({ disk }, at) => disk.remove(at))
}

/** @public */
export function readdir(
  path: string,
): Promise<{ name: string; isDirectory(): boolean; isFile(): boolean }[]> {
  return later(path, ({ disk, random }, at) =>
    disk.list(at, random).map(({ name, isFolder }) => {
      return { name, isDirectory: () => isFolder, isFile: () => !isFolder }
    }),
  )
}

/** @public */
export function open(path: string, flags = 'r'): Promise<OpenFile> {
  return later(path, ({ disk }, at) => {
    if (flags === 'wx' && disk.has(at)) throw failed('EEXIST', at)
    const isNew = flags === 'wx' || flags === 'w'
    return new OpenFile(path, isNew ? disk.create(at) : disk.find(at))
  })
}

/** Refers to the same file after it is renamed. */
class OpenFile {
  readonly #path: string
  readonly #file: Inode

  constructor(path: string, file: Inode) {
    this.#path = path
    this.#file = file
  }

  stat(): Promise<Status> {
    return later(this.#path, () => statusOf(this.#file))
  }

  read(
    buffer: Buffer,
    at: number,
    length: number,
    from: number,
  ): Promise<{ bytesRead: number; buffer: Buffer }> {
    return later(this.#path, () => {
      return { bytesRead: this.#file.content.copy(buffer, at, from, from + length), buffer }
    })
  }

  writeFile(bytes: Uint8Array): Promise<void> {
    const copy = Buffer.from(bytes)
    return later(this.#path, ({ disk, faults, random }) => {
      if (faults.verdict(random) === 'fails') throw failed('ENOSPC', this.#path)
      disk.append(this.#file, copy)
    })
  }

  utimes(_: number, changed: number): Promise<void> {
    return later(this.#path, () => {
      this.#file.mtimeMs = Math.round(changed * 1000)
    })
  }

  /** The file may be on the disk although the call fails. */
  sync(): Promise<void> {
    return later(this.#path, ({ faults, random }) => {
      if (faults.verdict(random) !== 'fine') throw failed('EIO', this.#path)
    })
  }

  async close(): Promise<void> {
    // There is no resource to release.
  }
}

/** A synchronous access, which a broken disk may refuse. */
function now<Result>(path: string, access: (mount: Mount, at: string) => Result): Result {
  const { mount, at } = located(path)
  refuse(mount, at)
  return access(mount, at)
}

/** An asynchronous access. A process that dies does not learn its result. */
function later<Result>(path: string, access: (mount: Mount, at: string) => Result): Promise<Result> {
  const { mount, at } = located(path)
  const { host, random, faults, msMax } = mount
  return new Promise((resolve, reject) => {
    host.after(faults.delayMs(random, msMax / ACCESSES), () => {
      try {
        refuse(mount, at)
        resolve(access(mount, at))
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** About the number of accesses of one put, each of which gets a part of its duration. */
const ACCESSES = 8

function refuse({ faults, random }: Mount, at: string): void {
  const verdict = faults.verdict(random)
  if (verdict === 'fails' || verdict === 'unsent') throw failed(random.pick(['EIO', 'EMFILE']), at)
}

function located(path: string): { mount: Mount; at: string } {
  const [host = '', ...rest] = path.split('/').filter((name) => name !== '')
  const mount = mounts.get(host)
  if (mount === undefined) throw failed('ENOENT', path)
  return { mount, at: `/${rest.join('/')}` }
}

function statusOf({ content, mtimeMs, isFolder }: Inode): Status {
  return { size: content.length, mtimeMs, isFile: () => !isFolder }
}
