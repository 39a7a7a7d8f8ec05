import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = fileURLToPath(new URL('run.js', import.meta.url))
const SEEDS = Number(process.env.SEEDS ?? 300)
const FROM = Number(process.env.SEED ?? 1)

/** Runs the command as a developer does; rejects, with all that it printed, if it fails. */
async function simulate(...flags: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [run, ...flags], { maxBuffer: 2 ** 24 })).stdout
}

async function hashesOf(...seeds: number[]): Promise<string[]> {
  const [first = 1] = seeds
  const printed = await simulate('--from', `${first}`, '--seeds', `${seeds.length}`, '--hashes')
  return printed
    .split('\n')
    .filter((line) => /^\d+ [0-9a-f]{8}$/.test(line))
    .sort()
}

/** Of those that attack the handoff and its neighbours, the ones that are caught fastest; `--planted all` runs all. */
const PLANTED = [
  'release-skipped',
  'published-before-released',
  'dropped-unsettled',
  'index-without-chunks',
  'lease-ignored',
  'no-lost-mark',
  'answer-forgotten',
  'chunks-freed-unasked',
  'consume-keeps',
]

test('a few hundred seeds break no rule', { timeout: 180_000 }, async () => {
  const printed = await simulate('--from', `${FROM}`, '--seeds', `${SEEDS}`)
  expect(printed).toContain(`${SEEDS} seeds from ${FROM}: 0 failed`)
  expect(printed).toContain('0 histories with too many orders to judge')
})

test('the same seed gives the same run, and another seed another one', { timeout: 60_000 }, async () => {
  const once = await hashesOf(1, 2, 3, 4, 5, 6)
  expect(await hashesOf(1, 2, 3, 4, 5, 6)).toEqual(once)
  expect(new Set(once.map((line) => line.split(' ')[1])).size).toBe(6)
})

test('bugs that are planted in the planes are caught', { timeout: 180_000 }, async () => {
  const printed = await simulate('--planted', PLANTED.join(','))
  expect(printed).toContain(`${PLANTED.length} of ${PLANTED.length} planted bugs caught`)
})

test('a run whose seed fails prints the command that replays it, shrunk', { timeout: 60_000 }, async () => {
  const printed = await simulate('--planted', 'consume-keeps')
  const [, flags = ''] = /^Replay: npm run simulate -- (.*)$/m.exec(printed) ?? []
  expect(flags).toMatch(/^--seed \d+ .*--planted consume-keeps$/)
  expect(await simulate(...flags.split(' '))).toContain('1 of 1 planted bugs caught')
})
