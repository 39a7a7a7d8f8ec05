import { expect, test } from 'vitest'
import { frequencyOf, Gdsf, gainOf, readCostMs } from '../../../storage-node/tiering/gdsf.ts'

const worth = { frequency: 1, bytes: 1000, costMs: 1 }

test('of two objects the larger, the less read, and the one that is cheaper to get back leaves first', () => {
  const policy = new Gdsf()
  const base = policy.priorityOf(worth)
  expect(policy.priorityOf({ ...worth, bytes: 2000 })).toBeLessThan(base)
  expect(policy.priorityOf({ ...worth, frequency: 0 })).toBeLessThan(base)
  expect(policy.priorityOf({ ...worth, costMs: 0.5 })).toBeLessThan(base)
})

test('the victim is the one with the lowest priority, and the clock takes it on', () => {
  const policy = new Gdsf()
  const [victim] = policy.chooseVictims(
    [5, 3, 4].map((priority) => ({ priority, bytes: 10 })),
    1,
  )
  expect(victim?.priority).toBe(3)
  expect(policy.priorityOf({ ...worth, frequency: 0 })).toBe(3)
})

test('an object that was read much long ago ages beside what comes new', () => {
  const policy = new Gdsf()
  const old = policy.priorityOf({ ...worth, frequency: 50 })
  for (let round = 0; round < 100; round++)
    policy.chooseVictims([{ priority: policy.priorityOf(worth), bytes: 10 }], 1)
  expect(policy.priorityOf(worth)).toBeGreaterThan(old)
})

test('the clock never goes back', () => {
  const policy = new Gdsf()
  policy.chooseVictims([{ priority: 9, bytes: 1 }], 1)
  policy.chooseVictims([{ priority: 2, bytes: 1 }], 1)
  expect(policy.priorityOf({ ...worth, frequency: 0 })).toBe(9)
})

test('of a sample leave as many as hold the bytes, and no more than its lowest sixteenth', () => {
  const sample = Array.from({ length: 64 }, (_, index) => ({ priority: index, bytes: 10 }))
  expect(new Gdsf().chooseVictims(sample, 15).map(({ priority }) => priority)).toEqual([0, 1])
  expect(new Gdsf().chooseVictims(sample, 1e9).map(({ priority }) => priority)).toEqual([0, 1, 2, 3])
  expect(new Gdsf().chooseVictims([], 1)).toEqual([])
})

test('the gain of an object does not age: reads and cost for each byte', () => {
  expect(gainOf({ frequency: 3, bytes: 6, costMs: 0.5 })).toBe(0.25)
  expect(gainOf({ ...worth, frequency: 0 })).toBe(0)
})

test('where the reads of an object are known, those to come count, and a read makes it worth less', () => {
  expect([0, 1, 2].map((reads) => frequencyOf(reads, 1))).toEqual([1, 0, 0])
  expect([0, 1, 2].map((reads) => frequencyOf(reads, null))).toEqual([1, 2, 3])
})

test('a read from a lower tier costs more, of every size', () => {
  for (const bytes of [1, 1e3, 1e6, 1e9]) {
    expect(readCostMs('ram', bytes)).toBe(0)
    expect(readCostMs('ssd', bytes)).toBeGreaterThan(0)
    expect(readCostMs('s3', bytes)).toBeGreaterThan(readCostMs('ssd', bytes))
  }
})
