import { expect, test } from 'vitest'
import { simulate } from './command.ts'

async function hashesOf(...seeds: number[]): Promise<string[]> {
  const [first = 1] = seeds
  const printed = await simulate('--from', `${first}`, '--seeds', `${seeds.length}`, '--hashes')
  return printed
    .split('\n')
    .filter((line) => /^\d+ [0-9a-f]{8}$/.test(line))
    .sort()
}

test('the same seed gives the same run, and another seed another one', async () => {
  const once = await hashesOf(1, 2, 3, 4, 5, 6)
  expect(await hashesOf(1, 2, 3, 4, 5, 6)).toEqual(once)
  expect(new Set(once.map((line) => line.split(' ')[1])).size).toBe(6)
})

test('a run whose seed fails prints the command that replays it, shrunk', async () => {
  const printed = await simulate('--planted', 'consume-keeps')
  const [, flags = ''] = /^Replay: npm run simulate -- (.*)$/m.exec(printed) ?? []
  expect(flags).toMatch(/^--seed \d+ .*--planted consume-keeps$/)
  expect(await simulate(...flags.split(' '))).toContain('1 of 1 planted bugs caught')
})
