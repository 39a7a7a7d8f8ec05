import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findDifference } from '../../examples/word-count/check.ts'
import { findFolder, readTextFiles } from '../../examples/word-count/corpus.ts'
import { cutInput } from '../../examples/word-count/input.ts'
import { REDUCERS, reducerOf, type WordEntry, wordsOf } from '../../examples/word-count/plan.ts'
import { Tally } from '../../examples/word-count/tally.ts'

const file = (text: string) => ({ path: '', bytes: Buffer.byteLength(text), text })
const files = [file('one fish'), file('two Fish, red constructor __proto__'), file('')]
const result: WordEntry[] = [
  ['one', 1, [0]],
  ['fish', 2, [0, 1]],
  ['two', 1, [1]],
  ['red', 1, [1]],
  ['constructor', 1, [1]],
  ['proto', 1, [1]],
]

test('words are runs of letters and digits of any script, in lower case', () => {
  expect(wordsOf('Hello, wörld_42! Größe/мир 世界')).toEqual(['hello', 'wörld', '42', 'größe', 'мир', '世界'])
  expect(wordsOf(' .,; ')).toEqual([])
})

test('a tally knows words that objects know too', () => {
  const tally = new Tally()
  for (const word of ['constructor', '__proto__', 'constructor']) tally.add(word, 1, [3])
  tally.add('constructor', 2, [1, 2])
  expect(tally.entries()).toEqual([
    ['constructor', 4, [1, 2, 3]],
    ['__proto__', 1, [3]],
  ])
})

test('every word belongs to one of the reducers, and each gets its share', () => {
  const shares = new Map<number, number>()
  for (let i = 0; i < 4000; i++) {
    const reducer = reducerOf(`word${i}`)
    shares.set(reducer, (shares.get(reducer) ?? 0) + 1)
  }
  expect([...shares.keys()].sort()).toEqual([...Array(REDUCERS).keys()])
  for (const share of shares.values()) expect(share).toBeGreaterThan(800)
})

test('the right result passes, in any order', () => {
  expect(findDifference(files, result)).toBeNull()
  expect(findDifference(files, [...result].reverse())).toBeNull()
})

test.each<[string, (entries: WordEntry[]) => WordEntry[]]>([
  ["'two' is missing", (entries) => entries.filter(([word]) => word !== 'two')],
  ["'one' is counted 2 times, not 1", (entries) => [['one', 2, [0]], ...entries.slice(1)]],
  ["'one' is said to stand in other files", (entries) => [['one', 1, [1]], ...entries.slice(1)]],
  ["'one' does not stand in the files, or is there twice", (entries) => [...entries, ['one', 1, [0]]]],
  ["'blue' does not stand in the files", (entries) => [...entries, ['blue', 1, [0]]]],
])('a result is wrong if %s', (difference, change) => {
  expect(findDifference(files, change(result))).toContain(difference)
})

test('pieces hold whole files, in order, each once', () => {
  const many = Array.from({ length: 300 }, (_, i) => file('x'.repeat(i * 500)))
  const pieces = cutInput([...many, file('y'.repeat(9 * 2 ** 20)), file('z')])
  expect(pieces.flat().map((each) => each.file)).toEqual([...Array(302).keys()])
  const bytes = pieces.map((piece) => piece.reduce((sum, { text }) => sum + text.length, 0))
  expect(bytes.filter((each) => each > 4 * 2 ** 20)).toEqual([9 * 2 ** 20])
})

test('text files are found by extension or name, without NUL, below links not at all', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mayfly-test-'))
  try {
    mkdirSync(join(dir, 'a', 'b'), { recursive: true })
    writeFileSync(join(dir, 'a', 'b', 'code.js'), 'let x')
    writeFileSync(join(dir, 'LICENSE'), 'free')
    writeFileSync(join(dir, 'binary.js'), 'a\0b')
    writeFileSync(join(dir, 'image.png'), 'x')
    symlinkSync(join(dir, 'a'), join(dir, 'link'))
    expect(readTextFiles(dir)).toEqual([
      { path: join(dir, 'LICENSE'), bytes: 4, text: 'free' },
      { path: join(dir, 'a', 'b', 'code.js'), bytes: 5, text: 'let x' },
    ])
    expect(findFolder('a', join(dir, 'a', 'b'))).toBe(join(dir, 'a'))
    expect(() => findFolder('no-such-folder', dir)).toThrow('There is no folder no-such-folder')
  } finally {
    rmSync(dir, { recursive: true })
  }
})
