import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = new URL('..', import.meta.url).pathname

function testTexts(): string {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => readFileSync(join(root, 'test', path), 'utf8'))
    .join('\n')
}

test('each invariant that ARCHITECTURE.md numbers is named by a test', () => {
  const architecture = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  const numbered = [...architecture.matchAll(/^\| (I\d+) \|/gm)].map(([, name]) => name as string)
  expect(numbered.length).toBeGreaterThanOrEqual(15)
  const texts = testTexts()
  const unnamed = numbered.filter(
    (name) => !new RegExp(`test(\\.each\\(.*\\))?\\(\\s*['"\`][^\\n]*\\b${name}\\b`).test(texts),
  )
  expect(unnamed).toEqual([])
})
