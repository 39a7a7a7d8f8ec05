import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { operations } from '../../gateway/operations.ts'
import { root } from './blocks.ts'

test('docs/s3.md has each operation of the gateway in its table, and no other', () => {
  const page = readFileSync(join(root, 'docs/s3.md'), 'utf8')
  const told = [...page.matchAll(/^\| `([A-Z]\w+)` \|/gm)].map(([, name]) => name as string)
  expect(told.sort()).toEqual(operations.map(([, , , name]) => name).sort())
})
