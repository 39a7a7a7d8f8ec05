import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const architecture = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')

/** Matches a test whose name names an invariant. */
const naming = /test(?:\.each\(.*\))?\(\s*['"`][^\n]*?\b(I\d+)\b/g

/** Each invariant with the files, as ARCHITECTURE.md writes them, that have a test naming it. */
function filesByInvariant(): Map<string, string[]> {
  const files = new Map<string, string[]>()
  for (const path of readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).sort()) {
    if (!path.endsWith('.test.ts')) continue
    const names = readFileSync(join(root, 'test', path), 'utf8').matchAll(naming)
    for (const name of new Set([...names].map(([, invariant]) => invariant as string)))
      files.set(name, [...(files.get(name) ?? []), path.replace('.test.ts', '')])
  }
  return files
}

test('ARCHITECTURE.md names, for each invariant, the files of the tests that name it, and there is one at least', () => {
  const rows = [...architecture.matchAll(/^\| (I\d+) \|.*\| (.*) \|$/gm)]
  expect(rows.length).toBeGreaterThanOrEqual(15)
  const told = rows.map(([, name, files = '']) => [
    name,
    [...files.matchAll(/`([^`]+)`/g)].map(([, file]) => file).sort(),
  ])
  const found = filesByInvariant()
  expect(told).toEqual(rows.map(([, name = '']) => [name, found.get(name) ?? ['no test']]))
})
