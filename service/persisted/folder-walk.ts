import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../process/system-error.ts'

/** Paths of the files under a folder that start with `prefix` and sort after `after`, in byte order. Folders that cannot contain such a path are not read. */
export async function* pathsInOrder(
  dir: string,
  of: { readonly prefix: string; readonly after: string },
  above = '',
): AsyncGenerator<string> {
  const entries = (await entriesOf(join(dir, above))).map((entry) => {
    return { path: above + entry.name, isFolder: entry.isDirectory(), isFile: entry.isFile() }
  })
  const named = entries.map((entry) => ({ ...entry, path: entry.isFolder ? `${entry.path}/` : entry.path }))
  for (const { path, isFolder, isFile } of named.sort((a, b) => compareBytes(a.path, b.path))) {
    if (isFolder) {
      const mayHold = path.startsWith(of.prefix) || of.prefix.startsWith(path)
      const isBefore = !of.after.startsWith(path) && compareBytes(path, of.after) < 0
      if (mayHold && !isBefore) yield* pathsInOrder(dir, of, path)
    } else if (isFile && path.startsWith(of.prefix) && compareBytes(path, of.after) > 0) yield path
  }
}

/** Paths of all files under a folder; empty if the folder does not exist. */
export function filesBelow(dir: string): AsyncGenerator<string> {
  return pathsInOrder(dir, { prefix: '', after: '' })
}

/** Empty if the folder does not exist. */
async function entriesOf(dir: string): Promise<Dirent[]> {
  try {
    return await readdir(dir, { withFileTypes: true })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return []
    throw error
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
