import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventTypes } from '../../controller/events/events.ts'
import { taskTable } from '../../service/process/tasks.ts'

const root = new URL('../..', import.meta.url).pathname
const guide = readFileSync(join(root, 'docs/operations/logs.md'), 'utf8')

/** Matches a log call of a level that an operator sees: its fields, then its text. */
const logged = /\blog\.(?:info|warn|error|fatal)\(\s*(?:\{[^}]*\}|[\w.]+),\s*'([^']+)'/g

function logLines(): string[] {
  const lines = ['controller', 'metadata', 'storage-node', 'gateway', 'service'].flatMap((plane) =>
    readdirSync(join(root, plane), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) => [...readFileSync(join(root, plane, path), 'utf8').matchAll(logged)])
      .map(([, line]) => line as string),
  )
  return [...new Set([...lines, ...Object.values(taskTable)])].sort()
}

test('docs/operations/logs.md explains each event of the controller, and no other', () => {
  const told = [...guide.matchAll(/^\| `((?:job|node|class|metadata|task)\.\w+)` \|/gm)].map(
    ([, type]) => type as string,
  )
  expect(told.sort()).toEqual([...eventTypes].sort())
})

test('docs/operations/logs.md explains each line that the planes log for an operator', () => {
  const lines = logLines()
  expect(lines.length).toBeGreaterThanOrEqual(20)
  expect(lines.filter((line) => !guide.includes(`| \`${line}\` |`))).toEqual([])
})
