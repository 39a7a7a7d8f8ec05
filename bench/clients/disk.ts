import { type FSWatcher, watch } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Client, type Entry, NotThere, TAKE_SECONDS_MAX } from './client.ts'

/** Files are written here and renamed, so that no reader sees a part of one. No key begins with a dot. */
const WRITTEN = '.written'

/** A folder that the functions of one machine share, without fsync, as short-lived data needs none. The target is its path, and a key is a path in it. */
export async function open(target: string): Promise<Client> {
  await mkdir(join(target, WRITTEN), { recursive: true })
  return new DiskClient(target)
}

interface Watched {
  readonly watcher: FSWatcher
  /** Called when the file of that name arrives. */
  readonly waiting: Map<string, () => void>
}

class DiskClient implements Client {
  readonly #dir: string
  readonly #made = new Set<string>()
  readonly #watched = new Map<string, Watched>()
  #puts = 0

  constructor(dir: string) {
    this.#dir = dir
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    const file = join(this.#dir, key)
    await this.#make(dirname(file))
    const written = join(this.#dir, WRITTEN, `${process.pid}-${++this.#puts}`)
    await writeFile(written, bytes)
    await rename(written, file)
  }

  async get(key: string): Promise<Buffer> {
    const bytes = await readIfThere(join(this.#dir, key))
    if (bytes === null) throw new NotThere(`there is no ${key}`)
    return bytes
  }

  async putMany(entries: readonly Entry[]): Promise<void> {
    await Promise.all(entries.map(({ key, bytes }) => this.put(key, bytes)))
  }

  getMany(keys: readonly string[]): Promise<Buffer[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }

  async delete(key: string): Promise<void> {
    await rm(join(this.#dir, key), { force: true })
  }

  give(key: string, bytes: Buffer): Promise<void> {
    return this.put(key, bytes)
  }

  async take(key: string): Promise<Buffer> {
    const file = join(this.#dir, key)
    await this.#make(dirname(file))
    // Registered before the file is looked for, so that no arrival is missed.
    const arrival = this.#awaitArrival(file)
    const early = await readIfThere(file)
    if (early === null) await arrival.arrived
    arrival.end()
    const bytes = early ?? (await this.get(key))
    await rm(file)
    return bytes
  }

  async close(): Promise<void> {
    for (const { watcher } of this.#watched.values()) watcher.close()
  }

  #awaitArrival(file: string): { arrived: Promise<void>; end: () => void } {
    const { waiting } = this.#watch(dirname(file))
    let timer: NodeJS.Timeout | undefined
    const arrived = new Promise<void>((resolve, reject) => {
      waiting.set(basename(file), resolve)
      const late = new NotThere(`${file} has not arrived after ${TAKE_SECONDS_MAX} s`)
      timer = setTimeout(() => reject(late), 1000 * TAKE_SECONDS_MAX)
    })
    const end = (): void => {
      clearTimeout(timer)
      waiting.delete(basename(file))
    }
    return { arrived, end }
  }

  #watch(folder: string): Watched {
    const known = this.#watched.get(folder)
    if (known !== undefined) return known
    const waiting = new Map<string, () => void>()
    const watcher = watch(folder, (_, name) => waiting.get(name ?? '')?.())
    this.#watched.set(folder, { watcher, waiting })
    return { watcher, waiting }
  }

  async #make(folder: string): Promise<void> {
    if (this.#made.has(folder)) return
    await mkdir(folder, { recursive: true })
    this.#made.add(folder)
  }
}

async function readIfThere(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
