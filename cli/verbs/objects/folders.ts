import { mkdir, open, readdir, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import type { Job, KeyOptions, PutOptions } from '../../../client/index.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../../protocol/limits.ts'
import { runInFlight } from '../../../protocol/transport/in-flight.ts'
import { Progress } from '../../terminal/progress.ts'
import { count, formatBytes, printable } from '../../terminal/table.ts'
import type { Terminal } from '../../terminal/terminal.ts'
import { exitCodes } from '../../verb.ts'
import { readChunks, replaceFile, writeAll, writeObject } from './files.ts'

/** Files that are read or written at a time: enough for the latency of small ones, and 16 MiB of chunks. */
const FILES_IN_FLIGHT = 16

interface Folder<Options> {
  /** Of the keys, without the slash at its end. */
  readonly prefix: string
  readonly folder: string
  readonly options: Options
  readonly terminal: Terminal
}

/** Stores each file below a folder under `prefix/path`. Links to files are followed; other things are named and left out. */
export async function putFolder(
  { job }: { job: Job },
  { prefix, folder, options, terminal }: Folder<PutOptions>,
): Promise<number> {
  const files: { path: string; bytes: number }[] = []
  for await (const path of filesBelow(folder, terminal)) files.push(path)
  const beginning = below(prefix)
  return await transfer(files, { folder, terminal }, async ({ path }) => {
    const key = `${beginning}${relative(folder, path).split(sep).join('/')}`
    const handle = await open(path)
    try {
      const { size } = await handle.stat()
      if (size <= CHUNK_BYTES) await job.put(key, await handle.readFile(), options)
      else await job.putStream(key, readChunks(handle), options)
      return size
    } finally {
      await handle.close()
    }
  })
}

/** Writes each object whose key is below `prefix` into a folder, at the rest of its key. Nothing is written outside of the folder. */
export async function getFolder(
  { job }: { job: Job },
  { prefix, folder, options, terminal }: Folder<KeyOptions>,
): Promise<number> {
  const beginning = below(prefix)
  const objects: { key: string; path: string; bytes: number }[] = []
  for await (const { key, bytes } of job.list({ ...options, prefix: beginning }))
    objects.push({ key, bytes, path: join(folder, safePath(key.slice(beginning.length), key)) })
  if (objects.length === 0) {
    terminal.printError(`mayfly: there is no key below ${printable(beginning)}`)
    return exitCodes.missing
  }
  return await transfer(objects, { folder, terminal }, async ({ key, path, bytes }) => {
    await mkdir(dirname(path), { recursive: true })
    await replaceFile(path, async (fresh) => {
      if (bytes <= CHUNK_BYTES) await writeAll(fresh, [await job.get(key, options)])
      else await writeObject(fresh, { job, key, options })
    })
    return bytes
  })
}

/** The beginning of keys below a prefix. */
function below(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
}

/** Runs `one` for each item, several concurrently, with a progress bar, and prints the number of items. */
async function transfer<Item extends { readonly bytes: number }>(
  items: readonly Item[],
  { folder, terminal }: Pick<Folder<unknown>, 'folder' | 'terminal'>,
  one: (item: Item) => Promise<number>,
): Promise<number> {
  const total = items.reduce((sum, { bytes }) => sum + bytes, 0)
  const progress = new Progress(terminal, { what: folder, total })
  try {
    await runInFlight(items, FILES_IN_FLIGHT, async (item) => progress.add(await one(item)))
  } finally {
    progress.end()
  }
  terminal.print(`${count(items.length, 'file')}, ${formatBytes(total)}`)
  return exitCodes.done
}

/** Throws `BAD_REQUEST` if the rest of a key is no path of a file below a folder. */
function safePath(rest: string, key: string): string {
  const parts = rest.split('/')
  if (
    parts.every(
      (part) => part !== '' && part !== '.' && part !== '..' && !part.includes(sep) && !part.includes('\0'),
    )
  )
    return join(...parts)
  throw new MayflyError(
    'BAD_REQUEST',
    `key: '${key}' is no path of a file below the folder; get it by itself`,
  )
}

async function* filesBelow(
  folder: string,
  terminal: Terminal,
): AsyncGenerator<{ path: string; bytes: number }> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      yield* filesBelow(path, terminal)
      continue
    }
    const found = entry.isFile() || entry.isSymbolicLink() ? await stat(path) : null
    if (found?.isFile() === true) yield { path, bytes: found.size }
    else terminal.printError(`mayfly: ${printable(path)} is no file and was left out`)
  }
}
