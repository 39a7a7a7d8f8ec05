import { expect, test } from 'vitest'
import { RANKS, sumOf, Tally } from '../../bench/tasks/tally.ts'

test('calls of several clients add up to one distribution, to within the ranks that are known of each', () => {
  const random = Array.from({ length: 3 }, (_, client) =>
    Array.from({ length: 1_000 * (client + 1) }, () => Math.random() * 10 ** client),
  )
  const sum = sumOf(random.map((values) => tallied(values, 2)))
  expect(sum).toMatchObject({ calls: 6_000, bytes: 6_000, seconds: 2, failures: [] })
  const sorted = random.flat().sort((a, b) => a - b)
  for (const [index, rank] of RANKS.entries()) {
    const exact = sorted[Math.max(0, Math.ceil((rank / 100) * sorted.length) - 1)] ?? 0
    expect(sum.ranksMs[index]).toBeGreaterThanOrEqual(exact)
  }
  expect(sum.ranksMs.at(-1)).toBe(sorted.at(-1))
  const median = sorted[2_999] ?? 0
  expect(sum.ranksMs[RANKS.indexOf(50)]).toBeLessThan(1.6 * median)
})

test('rates of clients that measured for different times add up', () => {
  const sum = sumOf([tallied([1, 1, 1, 1], 1), tallied([1, 1], 2)])
  expect(sum.calls / sum.seconds).toBeCloseTo(5)
})

test('one client alone keeps its distribution', () => {
  const alone = tallied([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 1)
  expect(sumOf([alone]).ranksMs).toEqual(alone.ranksMs)
})

function tallied(values: readonly number[], seconds: number) {
  const tally = new Tally()
  for (const ms of values) tally.add(ms, 1)
  return tally.result(seconds)
}
