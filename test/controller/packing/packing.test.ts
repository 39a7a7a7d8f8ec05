import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Fleet, packAll, pack as packInto } from '../../../controller/packing/packing.ts'
import { fits, type ResourceVector, sum } from '../../../controller/sizing/node-class.ts'
import { seed } from '../support/seed.ts'

const nodeClass = {
  name: 'local',
  cores: 1,
  ramBytes: 1000,
  ssdBytes: 0,
  bytesPerSecond: 1000,
  pricePerHour: 0.1,
  nodesMax: 4,
}

const vector = (ramBytes: number, bytesPerSecond: number, ssdBytes = 0, s3Bytes = 0): ResourceVector => ({
  ramBytes,
  ssdBytes,
  s3Bytes,
  bytesPerSecond,
})
const roomFor = (nodes: number, capacity = vector(1000, 1000)) => ({ nodeClass, capacity, nodes })
const newNode = { newOf: nodeClass, capacity: vector(1000, 1000) }

type SpareVector = { node: string } & ResourceVector

/** Packs into nodes that serve and, by default, have the capacity of the class. */
function pack(demand: ResourceVector, spares: readonly SpareVector[], rooms: Fleet['rooms'], mix = demand) {
  const capacity = vector(nodeClass.ramBytes, nodeClass.bytesPerSecond)
  return packInto(demand, { spares: spares.map((spare) => ({ capacity, rank: 1, ...spare })), rooms, mix })
}

describe('packing', () => {
  test('takes the node that the demand fills best', () => {
    const spares = [
      { node: 'full', ...vector(10, 1000) },
      { node: 'slow', ...vector(1000, 10) },
      { node: 'empty', ...vector(1000, 1000) },
      { node: 'half', ...vector(500, 500) },
    ]
    expect(pack(vector(400, 400), spares, [])).toEqual({
      assignments: [{ on: { node: 'half' }, ...vector(400, 400) }],
    })
  })

  test('brings demands of opposite kinds together, so that no resource of a node is stranded', () => {
    const spares = [
      { node: 'even', ...vector(600, 600) },
      { node: 'slow', ...vector(800, 300) },
      { node: 'full', ...vector(300, 800) },
    ]
    const where = (demand: ResourceVector) => {
      const packing = pack(demand, spares, [], vector(1000, 1000))
      return 'assignments' in packing ? packing.assignments.map(({ on }) => on) : packing
    }
    expect(where(vector(300, 20))).toEqual([{ node: 'slow' }])
    expect(where(vector(20, 300))).toEqual([{ node: 'full' }])
    expect(where(vector(500, 500))).toEqual([{ node: 'even' }])
  })

  test('takes a node that serves before one that starts, and the own ones of a job before both', () => {
    const capacity = vector(1000, 1000)
    const spares = [
      { node: 'starts', capacity, rank: 2, ...vector(100, 100) },
      { node: 'serves', capacity, rank: 1, ...vector(900, 900) },
    ]
    const on = (more: typeof spares) => packInto(vector(90, 90), { spares: more, rooms: [], mix: capacity })
    expect(on(spares)).toMatchObject({ assignments: [{ on: { node: 'serves' } }] })
    const own = { node: 'own', capacity, rank: 0, ...vector(990, 990) }
    expect(on([...spares, own])).toMatchObject({ assignments: [{ on: { node: 'own' } }] })
  })

  describe('in a fleet of some size', () => {
    const eight = (vector: ResourceVector): SpareVector[] =>
      Array.from({ length: 8 }, (_, node) => ({ node: `n-${node}`, ...vector }))
    /** The sum of all demands when eight nodes are almost full, and when the nodes are far too many. */
    const busy = vector(7200, 7200)
    const idle = vector(1000, 1000)
    const where = (...packing: Parameters<typeof pack>) => {
      const packed = pack(...packing)
      if ('shortage' in packed) return packed
      return packed.assignments.map(({ on, ramBytes }) => ['node' in on ? on.node : 'new', ramBytes])
    }

    test('uses a node up with a part of a demand, and puts the rest whole on another', () => {
      const [first, ...others] = eight(vector(600, 600))
      const nearly = { ...first, node: 'nearly', ...vector(100, 110) }
      expect(where(vector(300, 300), [nearly, ...others], [roomFor(1)], busy)).toEqual([
        ['nearly', 100],
        ['n-1', 200],
      ])
      // A fiftieth of the demand is the minimum for which a connection is worthwhile.
      const crumb = { ...nearly, ...vector(5, 5) }
      expect(where(vector(300, 300), [crumb, ...others], [roomFor(1)], busy)).toEqual([['n-1', 300]])
    })

    test('starts a node rather than strand a resource, while they are few more than demands need', () => {
      const half = eight(vector(500, 500))
      expect(where(vector(450, 1), half, [roomFor(1)], busy)).toEqual([['new', 450]])
      const parts = where(vector(450, 1), half, [roomFor(1)], idle)
      expect(parts).toHaveLength(2)
      expect(parts).not.toContainEqual(['new', expect.anything()])
    })

    test('puts no more on a node that it starts early than keeps it even', () => {
      const full = eight(vector(0, 0))
      const parts = where(vector(900, 1), full, [roomFor(2)], busy)
      expect(parts).toMatchObject([
        ['new', expect.closeTo(500, -1)],
        ['new', expect.closeTo(400, -1)],
      ])
      expect(where(vector(900, 1), full, [roomFor(2)], idle)).toEqual([['new', 900]])
    })

    test('strands a resource before it refuses', () => {
      const nearly = eight(vector(100, 200))
      expect(where(vector(800, 8), nearly, [], busy)).toHaveLength(8)
      expect(where(vector(801, 8), nearly, [], busy)).toEqual({ shortage: { free: vector(800, 1600) } })
    })

    test('passes over classes that have nothing of what a demand needs', () => {
      const full = eight(vector(0, 0))
      const dense = {
        nodeClass: { ...nodeClass, name: 'dense' },
        capacity: vector(1000, 1000, 8000),
        nodes: 1,
      }
      const packing = pack(vector(100, 100, 800), full, [roomFor(4), dense], busy)
      expect(packing).toMatchObject({ assignments: [{ on: { newOf: dense.nodeClass } }] })
    })
  })

  test('packs several demands one after another, all or none', () => {
    const fleet = { spares: [], rooms: [roomFor(2)], mix: vector(0, 0) }
    let started = 0
    const plan = packAll([vector(600, 600), vector(600, 600)], fleet, () => `n-${++started}`)
    expect(plan).toMatchObject({
      started: [
        { node: 'n-1', nodeClass },
        { node: 'n-2', nodeClass },
      ],
      shares: [
        [{ node: 'n-1', ...vector(600, 600) }],
        [
          { node: 'n-1', ...vector(400, 400) },
          { node: 'n-2', ...vector(200, 200) },
        ],
      ],
    })
    const three = packAll(
      [600, 600, 900].map((size) => vector(size, size)),
      fleet,
      () => `n-${++started}`,
    )
    expect(three).toEqual({ shortage: { free: vector(2000, 2000) } })
  })

  test('spreads a demand that no node takes alone, its throughput in proportion to its bytes', () => {
    const spares = [
      { node: 'a', ...vector(500, 1000) },
      { node: 'b', ...vector(1000, 1000) },
    ]
    expect(pack(vector(1000, 200), spares.slice(0, 1), [roomFor(1)])).toEqual({
      assignments: [
        { on: { node: 'a' }, ...vector(500, 100) },
        { on: newNode, ...vector(500, 100) },
      ],
    })
    expect(pack(vector(1200, 600), spares, [])).toEqual({
      assignments: [
        { on: { node: 'b' }, ...vector(1000, 500) },
        { on: { node: 'a' }, ...vector(200, 100) },
      ],
    })
  })

  test('puts a demand on nodes with as much SSD as it needs, and counts what is on S3 in the same proportion', () => {
    const spares = [
      { node: 'no-ssd', ...vector(1000, 1000) },
      { node: 'some', ...vector(1000, 1000, 4000) },
    ]
    expect(pack(vector(100, 100, 800, 40), spares, [])).toEqual({
      assignments: [{ on: { node: 'some' }, ...vector(100, 100, 800, 40) }],
    })
    const capacity = vector(1000, 1000, 8000)
    const half = vector(100, 50, 4000, 40)
    expect(pack(vector(200, 100, 8000, 80), spares, [roomFor(1, capacity)])).toEqual({
      assignments: [
        { on: { node: 'some' }, ...half },
        { on: { newOf: nodeClass, capacity }, ...half },
      ],
    })
    expect(pack(vector(200, 100, 8000, 80), spares, [])).toEqual({
      shortage: { free: vector(2000, 2000, 4000) },
    })
  })

  test('judges how evenly nodes fill by what they have and jobs ask for', () => {
    const capacity = vector(1000, 1000, 8000)
    const nearly = Array.from({ length: 8 }, (_, node) => ({
      node: `n-${node}`,
      capacity,
      ...vector(200, 200, 8000),
    }))
    expect(pack(vector(150, 150), nearly, [roomFor(1, capacity)])).toMatchObject({
      assignments: [{ on: { node: 'n-0' } }],
    })
  })

  test('starts no node while those that run have room', () => {
    const spares = [{ node: 'a', ...vector(100, 100) }]
    const packing = pack(vector(100, 100), spares, [roomFor(4)])
    expect(packing).toEqual({ assignments: [{ on: { node: 'a' }, ...vector(100, 100) }] })
  })

  test('grants exactly what a cluster has, in whichever dimension it is short', () => {
    const rooms = [roomFor(4)]
    for (const demand of [vector(4000, 4000), vector(333, 4000), vector(4000, 3), vector(3999, 1)]) {
      const packing = pack(demand, [], rooms)
      expect('assignments' in packing && sum(packing.assignments)).toEqual(demand)
    }
  })

  test('passes over a node that would carry less than one slot', () => {
    const crumbs = [1, 2].map((bytes) => ({ node: `crumb-${bytes}`, ...vector(bytes, 1000) }))
    const large = { node: 'large', ...vector(1_999_999, 10) }
    expect(pack(vector(2_000_002, 10), [...crumbs, large], [])).toEqual({
      shortage: { free: vector(2_000_002, 2010) },
    })
  })

  test('says what is free where a demand does not fit', () => {
    const packing = pack(vector(9000, 1), [{ node: 'a', ...vector(300, 400) }], [roomFor(2)])
    expect(packing).toEqual({ shortage: { free: vector(2300, 2400) } })
  })

  test('never gives more than a node has, and always gives all that was asked for', () => {
    const amount = fc.integer({ min: 0, max: 2 ** 40 })
    const often0 = fc.oneof(fc.constant(0), amount)
    const spare = fc.record({
      ramBytes: amount,
      ssdBytes: often0,
      s3Bytes: fc.constant(0),
      bytesPerSecond: amount,
    })
    fc.assert(
      fc.property(
        fc.record({
          ramBytes: fc.integer({ min: 1, max: 2 ** 42 }),
          ssdBytes: often0,
          s3Bytes: often0,
          bytesPerSecond: amount,
        }),
        fc.array(spare, { maxLength: 8 }),
        fc.array(fc.tuple(spare, fc.integer({ min: 0, max: 4 })), { maxLength: 3 }),
        (demand, free, classes) => {
          const spares = free.map((vector, node) => ({ node: String(node), ...vector }))
          const rooms = classes.map(([capacity, nodes], name) => ({
            nodeClass: { ...nodeClass, name: String(name) },
            capacity,
            nodes,
          }))
          const packing = pack(demand, spares, rooms)
          if ('shortage' in packing) return
          const { assignments } = packing
          expect(sum(assignments)).toEqual(demand)
          for (const { on, ...part } of assignments) {
            const bin = 'node' in on ? spares[Number(on.node)] : on.capacity
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
          roomFor(1, vector(ramBytes, bytesPerSecond)),
        ])
        expect('assignments' in packing).toBe(true)
      }),
      { seed },
    )
  })
})
