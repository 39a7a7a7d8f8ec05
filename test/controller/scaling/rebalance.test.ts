import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fullestOf, noLoad, sumLoads } from '../../../controller/scaling/policy.ts'
import { type Balanced, planMoves } from '../../../controller/scaling/rebalance.ts'
import { nothing } from '../../../controller/sizing/node-class.ts'
import { seed } from '../support/seed.ts'

const whole = { ...nothing, ramBytes: 1000, bytesPerSecond: 1000 }

/** A node whose jobs use, and have reserved, these fractions of its throughput. */
function node(id: string, jobs: readonly number[]): Balanced {
  const parts = jobs.map((network, index) => ({
    job: `j-${id}-${index}`,
    load: { ...noLoad, network },
    share: { ...nothing, ramBytes: Math.round(network * 1000), bytesPerSecond: Math.round(network * 1000) },
    movable: true,
  }))
  const left = Math.max(0, 1000 - parts.reduce((sum, { share }) => sum + share.ramBytes, 0))
  return { node: id, spare: { ...whole, ramBytes: left, bytesPerSecond: left }, jobs: parts }
}

describe('nodes that are uneven', () => {
  test('become even by half of a job that is alone', () => {
    expect(planMoves([node('a', [0.9]), node('b', [])])).toEqual([
      { job: 'j-a-0', from: 'a', to: 'b', part: 0.5 },
    ])
  })

  test('become even by whole jobs where these fit, so that nobody needs another connection', () => {
    const moves = planMoves([node('a', [0.3, 0.3, 0.3]), node('b', [])])
    expect(moves).toEqual([{ job: 'j-a-0', from: 'a', to: 'b', part: 1 }])
  })

  test('are left alone where none is above the middle of the band, or the gap is small', () => {
    expect(planMoves([node('a', [0.7]), node('b', [])])).toEqual([])
    expect(planMoves([node('a', [0.85]), node('b', [0.7])])).toEqual([])
  })

  test('give nothing that already moves, and nothing that has no room to go', () => {
    const a = node('a', [0.9])
    expect(
      planMoves([{ ...a, jobs: a.jobs.map((job) => ({ ...job, movable: false })) }, node('b', [])]),
    ).toEqual([])
    expect(planMoves([a, { ...node('b', []), spare: nothing }])).toEqual([])
  })

  test('of any loads become no fuller than the fullest was, and reserve no more than there is', () => {
    const loads = fc.array(fc.array(fc.double({ min: 0.01, max: 0.4, noNaN: true }), { maxLength: 4 }), {
      minLength: 2,
      maxLength: 12,
    })
    fc.assert(
      fc.property(loads, (jobs) => {
        const nodes = jobs.map((parts, index) => node(`n-${index}`, parts))
        const before = nodes.map(({ jobs }) => fullestOf(sumLoads(jobs.map(({ load }) => load))).load)
        const after = new Map(nodes.map(({ node: id }, index) => [id, before[index] ?? 0]))
        const spare = new Map(nodes.map((each) => [each.node, each.spare.ramBytes]))
        for (const { job, from, to, part } of planMoves(nodes)) {
          const moved = nodes.flatMap((each) => each.jobs).find((each) => each.job === job)
          const network = (moved?.load.network ?? 0) * part
          after.set(from, (after.get(from) ?? 0) - network)
          after.set(to, (after.get(to) ?? 0) + network)
          spare.set(to, (spare.get(to) ?? 0) - Math.floor((moved?.share.ramBytes ?? 0) * part))
        }
        expect(Math.max(...after.values())).toBeLessThanOrEqual(Math.max(...before) + 1e-9)
        for (const left of spare.values()) expect(left).toBeGreaterThanOrEqual(0)
      }),
      { seed },
    )
  })
})
