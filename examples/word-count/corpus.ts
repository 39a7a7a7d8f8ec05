import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'

/** One file of the input; its index in the list is its id. */
export interface TextFile {
  readonly path: string
  readonly bytes: number
  readonly text: string
}

const textExtensions = new Set(
  (
    '.js .mjs .cjs .jsx .ts .mts .cts .tsx .flow .map .json .md .txt .html .css .svg .xml .yml .yaml .toml ' +
    '.c .cc .cpp .h .hpp .gyp .gypi .mk .py .sh'
  ).split(' '),
)
/** Text files without an extension. */
const textNames = /^(license|licence|readme|changelog|notice|authors|makefile)$/i

/** The nearest folder called `name` in `start` or one of its parents. */
export function findFolder(name: string, start: string): string {
  const folder = join(start, name)
  if (existsSync(folder)) return folder
  if (dirname(start) === start) throw new Error(`There is no folder ${name} above ${import.meta.dirname}`)
  return findFolder(name, dirname(start))
}

/**
 * Every text file under `folder`, by path. All of them are read now, so that map, reduce and the final check see the same bytes even if the files change
 * meanwhile.
 */
export function readTextFiles(folder: string): TextFile[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(
      (entry) => entry.isFile() && (textExtensions.has(extname(entry.name)) || textNames.test(entry.name)),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .flatMap((path) => {
      const bytes = readFileSync(path)
      return bytes.includes(0) ? [] : [{ path, bytes: bytes.length, text: bytes.toString() }]
    })
}
