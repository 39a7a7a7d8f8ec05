import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const FILES_IN_FOLDER_MAX = 16
const FILES_BESIDE_ROOMS_MAX = 12
const LINES_MAX = 400

const files = execFileSync('git', ['ls-files', '-z', '--', '*.ts', '*.js', '*.mjs', '*.cjs'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => file !== '')
const sources = files.filter((file) => !file.startsWith('test/'))

function countByFolder(paths: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const path of paths) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1)
  return counts
}

test(`no file has more than ${LINES_MAX} lines`, () => {
  const long = files
    .map((file) => [file, readFileSync(join(root, file), 'utf8').split('\n').length - 1] as const)
    .filter(([, lines]) => lines > LINES_MAX)
  expect(files.length).toBeGreaterThan(500)
  expect(long).toEqual([])
})

test(`no folder has more than ${FILES_IN_FOLDER_MAX} source files, no plane more than ${FILES_BESIDE_ROOMS_MAX} beside its rooms`, () => {
  const full = [...countByFolder(sources)].filter(([folder, count]) =>
    folder.includes('/') ? count > FILES_IN_FOLDER_MAX : count > FILES_BESIDE_ROOMS_MAX,
  )
  expect(full).toEqual([])
})
