import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fits, type ResourceVector, sum } from '../../controller/node-class.ts'
import { pack } from '../../controller/packing.ts'
import { seed } from './support/seed.ts'

const nodeClass = {
  name: 'local',
  cores: 1,
  ramBytes: 1000,
  bytesPerSecond: 1000,
  pricePerHour: 0.1,
  nodesMax: 4,
}

const vector = (ramBytes: number, bytesPerSecond: number): ResourceVector => ({ ramBytes, bytesPerSecond })

describe('packing', () => {
  test('takes the first node on which all of the demand fits', () => {
    const spares = [
      { node: 'full', ...vector(10, 1000) },
      { node: 'slow', ...vector(1000, 10) },
      { node: 'first', ...vector(500, 500) },
      { node: 'second', ...vector(1000, 1000) },
    ]
    expect(pack(vector(400, 400), spares, [])).toEqual({
      assignments: [{ on: { node: 'first' }, ...vector(400, 400) }],
    })
  })

  test('spreads a demand that no node takes alone, its throughput in proportion to its bytes', () => {
    const spares = [
      { node: 'a', ...vector(500, 1000) },
      { node: 'b', ...vector(1000, 1000) },
    ]
    expect(pack(vector(1000, 200), spares.slice(0, 1), [{ nodeClass, nodes: 1 }])).toEqual({
      assignments: [
        { on: { node: 'a' }, ...vector(500, 100) },
        { on: { newOf: nodeClass }, ...vector(500, 100) },
      ],
    })
    expect(pack(vector(1200, 600), spares, [])).toEqual({
      assignments: [
        { on: { node: 'a' }, ...vector(500, 250) },
        { on: { node: 'b' }, ...vector(700, 350) },
      ],
    })
  })

  test('starts no node while those that run have room', () => {
    const spares = [{ node: 'a', ...vector(100, 100) }]
    const packing = pack(vector(100, 100), spares, [{ nodeClass, nodes: 4 }])
    expect(packing).toEqual({ assignments: [{ on: { node: 'a' }, ...vector(100, 100) }] })
  })

  test('grants exactly what a cluster has, in whichever dimension it is short', () => {
    const rooms = [{ nodeClass, nodes: 4 }]
    for (const demand of [vector(4000, 4000), vector(333, 4000), vector(4000, 3), vector(3999, 1)]) {
      const packing = pack(demand, [], rooms)
      expect('assignments' in packing && sum(packing.assignments)).toEqual(demand)
    }
  })

  test('passes over a node that would carry less than one slot', () => {
    const crumb = { node: 'crumb', ...vector(1, 1000) }
    const packing = pack(vector(2_000_000, 10), [crumb, { node: 'b', ...vector(1_999_999, 10) }], [])
    expect(packing).toEqual({ shortage: { free: vector(2_000_000, 1010) } })
  })

  test('says what is free where a demand does not fit', () => {
    const packing = pack(vector(9000, 1), [{ node: 'a', ...vector(300, 400) }], [{ nodeClass, nodes: 2 }])
    expect(packing).toEqual({ shortage: { free: vector(2300, 2400) } })
  })

  test('never gives more than a node has, and always gives all that was asked for', () => {
    const amount = fc.integer({ min: 0, max: 2 ** 40 })
    const spare = fc.record({ ramBytes: amount, bytesPerSecond: amount })
    fc.assert(
      fc.property(
        fc.record({ ramBytes: fc.integer({ min: 1, max: 2 ** 42 }), bytesPerSecond: amount }),
        fc.array(spare, { maxLength: 8 }),
        fc.array(fc.tuple(spare, fc.integer({ min: 0, max: 4 })), { maxLength: 3 }),
        (demand, free, classes) => {
          const spares = free.map((vector, node) => ({ node: String(node), ...vector }))
          const rooms = classes.map(([vector, nodes], name) => ({
            nodeClass: { ...nodeClass, ...vector, name: String(name) },
            nodes,
          }))
          const packing = pack(demand, spares, rooms)
          if ('shortage' in packing) return
          const { assignments } = packing
          expect(sum(assignments)).toEqual(demand)
          for (const { on, ...part } of assignments) {
            const bin = 'node' in on ? spares[Number(on.node)] : on.newOf
            expect(bin !== undefined && fits(part, bin)).toBe(true)
          }
          const names = assignments.flatMap(({ on }) => ('node' in on ? [on.node] : []))
          expect(new Set(names).size).toBe(names.length)
          for (const { nodeClass, nodes } of rooms) {
            const started = assignments.filter(({ on }) => 'newOf' in on && on.newOf === nodeClass)
            expect(started.length).toBeLessThanOrEqual(nodes)
          }
        },
      ),
      { seed, numRuns: 2_000 },
    )
  })

  test('never refuses what fits on one node', () => {
    const amount = fc.integer({ min: 1, max: 2 ** 40 })
    fc.assert(
      fc.property(amount, amount, fc.nat(100), (ramBytes, bytesPerSecond, others) => {
        const spares = Array.from({ length: others }, (_, node) => ({ node: String(node), ...vector(0, 1) }))
        const packing = pack(vector(ramBytes, bytesPerSecond), spares, [
          { nodeClass: { ...nodeClass, ramBytes, bytesPerSecond }, nodes: 1 },
        ])
        expect('assignments' in packing).toBe(true)
      }),
      { seed },
    )
  })
})
