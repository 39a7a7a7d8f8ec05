import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { handoffBugs } from './handoff-bugs.ts'
import { planted } from './plants.ts'

const root = new URL('../../../', import.meta.url)

test('each text of a planted bug stands in its file exactly once', () => {
  const misfits = planted.flatMap(({ name, also = [], ...bug }) =>
    [bug, ...also].flatMap(({ file, find }) => {
      const count = readFileSync(new URL(file, root), 'utf8').split(find).length - 1
      return count === 1 ? [] : [`${name}: ${file} has ${count} times: ${find}`]
    }),
  )
  expect(misfits).toEqual([])
})

test('planted bugs have names of their own, and at least fifteen are about the handoff', () => {
  expect(new Set(planted.map(({ name }) => name)).size).toBe(planted.length)
  expect(handoffBugs.length).toBeGreaterThanOrEqual(15)
})

test('a planted bug is caught within a thousand seeds or is not in the list', () => {
  expect(Math.max(...planted.map(({ seedsMax }) => seedsMax))).toBeLessThanOrEqual(1_000)
})
