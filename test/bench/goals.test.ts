import { expect, test } from 'vitest'
import type { SystemName } from '../../bench/clients/open.ts'
import { judge } from '../../bench/report/goals.ts'
import type { Measurement, RowResult } from '../../bench/report/measurement.ts'
import { tableOf } from '../../bench/report/ratios.ts'

const calls = { name: 'calls/s', better: 'higher', digits: 0 } as const
const ms = { name: 'ms', better: 'lower', digits: 1 } as const

function result(row: string, figures: Partial<Record<SystemName, number[]>>, column = 'calls/s'): RowResult {
  const measurements = Object.entries(figures).map(([system, values]): [SystemName, Measurement[]] => [
    system as SystemName,
    values.map((value) => ({
      figures: { [column]: value },
      clientCpuSeconds: 0,
      serverCpuSeconds: 0,
      failures: [],
    })),
  ])
  return { row, measurements: new Map(measurements) }
}

const ratioGoal = {
  name: 'as fast as Redis',
  rows: () => true,
  column: 'calls/s',
  against: ['ioredis', 'node-redis'] as const,
  atLeast: 2,
  reachFor: 3,
}

test('a goal is judged by medians, against the best peer, in the worst row', () => {
  const good = result('good', { mayfly: [1, 600, 9_000], ioredis: [100, 100, 100], 'node-redis': [200] })
  const bad = result('bad', { mayfly: [250], ioredis: [100] })
  expect(judge(ratioGoal, [good], [calls])).toMatchObject({ measured: '3.00× (good)', verdict: 'reached' })
  expect(judge(ratioGoal, [good, bad], [calls])).toMatchObject({ measured: '2.50× (bad)', verdict: 'holds' })
  const worse = result('worse', { mayfly: [199], ioredis: [100] })
  expect(judge(ratioGoal, [good, worse, bad], [calls])).toMatchObject({ verdict: 'FALLS SHORT' })
})

test('where less is better, the ratio is the time of the other over that of Mayfly', () => {
  const goal = { ...ratioGoal, column: 'ms' }
  const half = result('half', { mayfly: [5], ioredis: [10], 'node-redis': [12] }, 'ms')
  expect(judge(goal, [half], [ms])).toMatchObject({ measured: '2.00× (half)', verdict: 'holds' })
})

test('a row in which a system has no figure holds nothing, and a goal about no row is left out', () => {
  const alone = result('alone', { mayfly: [100] })
  const good = result('good', { mayfly: [600], ioredis: [100] })
  expect(judge(ratioGoal, [good, alone], [calls])).toMatchObject({ measured: '–', verdict: 'not measured' })
  expect(judge({ ...ratioGoal, rows: () => false }, [good], [calls])).toBeNull()
})

test('a bound holds up to the bound itself, and one that is only reached for never falls short', () => {
  const goal = { name: 'soon', rows: () => true, column: 'ms', unit: 'ms', atMost: 10, reachFor: 3 }
  const at = (value: number) => [result('row', { mayfly: [value] }, 'ms')]
  const verdicts = [3, 10, 10.01].map((value) => judge(goal, at(value), [ms])?.verdict)
  expect(verdicts).toEqual(['reached', 'holds', 'FALLS SHORT'])
  const { atMost: _, ...reachOnly } = goal
  expect(judge(reachOnly, at(10), [ms])?.verdict).toBe('not reached')
})

test('the table shows the best library of each server, and how many times as good Mayfly is', () => {
  const { rows } = tableOf(
    [result('put', { mayfly: [500], ioredis: [100], 'node-redis': [200], s3: [10] })],
    [calls],
    calls,
  )
  expect(rows).toEqual([
    ['put', 'Mayfly', '500', '0.00', '0.00', ''],
    ['put', 'Redis (node-redis)', '200', '0.00', '0.00', '2.50×'],
    ['put', 'MinIO', '10', '0.00', '0.00', '50.00×'],
  ])
})
