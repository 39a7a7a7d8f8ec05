import { expect, test } from 'vitest'
import { LogLimit } from '../../service/process/log-limit.ts'

test('a message that comes again and again is logged at a bounded rate, and the next line says how many were left out', () => {
  let now = 0
  const limit = new LogLimit(() => now)
  const taken = Array.from({ length: 1_000 }, () => limit.take('connection refused')).filter(
    (each) => each !== null,
  )
  expect(taken.length).toBe(100)
  expect(limit.take('another message')).toBe(0)
  now += 1_000
  expect([1, 2, 3, 4, 5, 6].map(() => limit.take('connection refused'))).toEqual([900, 0, 0, 0, 0, null])
})

test('texts that never come again do not fill memory', () => {
  const limit = new LogLimit(() => 0)
  for (let line = 0; line < 5_000; line++) expect(limit.take(`error ${line}`)).toBe(0)
})
