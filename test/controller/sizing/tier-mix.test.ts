import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NodeClass } from '../../../controller/sizing/node-class.ts'
import {
  type Load,
  type Mix,
  type MixOptions,
  mixTiers,
  mostOf,
} from '../../../controller/sizing/tier-mix.ts'
import { defaultTraits } from '../../../controller/sizing/tier-traits.ts'
import type { Tier } from '../../../protocol/operations/data-operations.ts'
import { seed } from '../support/seed.ts'

const GIB = 2 ** 30
const nodeClass: NodeClass = {
  name: 'local',
  cores: 1,
  ramBytes: GIB,
  ssdBytes: 8 * GIB,
  bytesPerSecond: 1e9,
  pricePerHour: 0.1,
  nodesMax: 4,
}
const load: Load = { bytes: 1.8 * GIB, ramBytesMin: GIB / 8, bytesPerSecond: 1, readsPerObject: 1 }
const on = (...allowed: Tier[]): MixOptions => ({
  classes: [nodeClass],
  allowed: new Set(allowed),
  traits: defaultTraits,
  least: 'price',
})

/** In GiB, rounded to a millionth. */
function gib(mix: Mix | undefined): number[] {
  const { ram, ssd, s3 } = mix?.bytes ?? { ram: -1, ssd: -1, s3: -1 }
  return [ram, ssd, s3].map((bytes) => Math.round((bytes / GIB) * 1e6) / 1e6)
}

describe('the mix of tiers', () => {
  test('is as much of a node’s RAM as of its SSD where nothing else counts: both are paid for', () => {
    const [mix] = mixTiers(load, on('ram', 'ssd'))
    expect(gib(mix)).toEqual([0.2, 1.6, 0])
    expect(mix?.pricePerHour).toBeCloseTo(0.02, 6)
  })

  test('is RAM where throughput needs so many nodes that they have it anyway', () => {
    const [mix] = mixTiers({ ...load, bytesPerSecond: 1.8e9 }, on('ram', 'ssd'))
    expect(gib(mix)).toEqual([1.8, 0, 0])
    expect(mix?.pricePerHour).toBeCloseTo(0.18, 6)
  })

  test('is S3 where that is cheaper than nodes, but for the index', () => {
    const [mix, ...others] = mixTiers(load, on('ram', 'ssd', 's3'))
    expect(gib(mix)).toEqual([0.125, 1, 0.675])
    expect(mix?.s3PricePerHour).toBeCloseTo(0.675 * 0.000034, 8)
    expect(mix?.pricePerHour).toBeCloseTo(0.0125 + 0.675 * 0.000034, 6)
    expect(others.map(gib)).toContainEqual([1.8, 0, 0])
    expect(others.every(({ pricePerHour }) => pricePerHour >= (mix?.pricePerHour ?? 0))).toBe(true)
  })

  test('leaves S3 alone where its requests cost more than nodes do', () => {
    const busy = { ...load, bytes: 4 * GIB, bytesPerSecond: 4e7 }
    // Nodes cost 0.1 × 4/9. S3: 4e7 bytes/s are 134 GiB an hour, half of them written, 0.37 in total.
    expect(gib(mixTiers(busy, on('ram', 'ssd', 's3'))[0])[2]).toBe(0)
    const free = { ...defaultTraits.s3, pricePerGibWritten: 0, pricePerGibRead: 0 }
    const own = { ...on('ram', 'ssd', 's3'), traits: { ...defaultTraits, s3: free } }
    expect(gib(mixTiers(busy, own)[0])[2]).toBeGreaterThan(2)
  })

  test('counts reads and writes on S3 by how often each byte is read', () => {
    const s3PriceOf = (readsPerObject: number) => {
      const mixes = mixTiers({ ...load, bytesPerSecond: 1e6, readsPerObject }, on('ram', 's3'))
      return mixes.find(({ bytes }) => bytes.s3 > 0)?.s3PricePerHour ?? 0
    }
    const part = (1.8 - 0.125) / 1.8
    const movedGib = (1e6 * 3600) / GIB
    for (const reads of [0, 1, 9]) {
      const perGib = (0.00512 + 0.00041 * reads) / (1 + reads)
      expect(s3PriceOf(reads)).toBeCloseTo(part * (1.8 * 0.000034 + movedGib * perGib), 8)
    }
  })

  test('fills the fastest tier first where latency is to be least, and spills where it is full', () => {
    const by: MixOptions = { ...on('ram', 'ssd', 's3'), least: 'latency' }
    expect(gib(mixTiers(load, by)[0])).toEqual([1.8, 0, 0])
    expect(gib(mixTiers({ ...load, bytes: 6 * GIB }, by)[0])).toEqual([4, 2, 0])
    expect(gib(mixTiers({ ...load, bytes: 40 * GIB }, by)[0])).toEqual([4, 32, 4])
  })

  test('takes the cheapest class of nodes, and the first of two that cost the same', () => {
    const dense = { ...nodeClass, name: 'dense', ssdBytes: 80 * GIB }
    const twin = { ...nodeClass, name: 'twin' }
    const by = on('ram', 'ssd')
    expect(mixTiers(load, { ...by, classes: [nodeClass, dense] })[0]?.nodeClasses).toEqual(['dense'])
    expect(mixTiers(load, { ...by, classes: [twin, nodeClass] })[0]?.nodeClasses).toEqual(['twin'])
  })

  test('takes classes together for what is too large for each, with SSD where all have it', () => {
    const bare = { ...nodeClass, name: 'bare', ssdBytes: 0 }
    const dense = { ...nodeClass, name: 'dense' }
    const by = { ...on('ram', 'ssd'), classes: [nodeClass, bare, dense] }
    const large = mixTiers({ ...load, bytes: 50 * GIB, ramBytesMin: 3 * GIB }, by)
    expect(large[0]?.nodeClasses).toEqual(['local', 'dense'])
    const fast = mixTiers({ ...load, bytes: 10 * GIB }, { ...by, least: 'latency' })
    expect(fast[0]?.nodeClasses).toEqual(['local', 'bare', 'dense'])
    expect(gib(fast[0])).toEqual([10, 0, 0])
  })

  test('is none where capacity, throughput or index exceed what nodes there may be', () => {
    const by = on('ram', 'ssd')
    expect(
      mixTiers({ ...load, bytes: 36 * GIB, ramBytesMin: 4 * GIB, bytesPerSecond: 4e9 }, by),
    ).toHaveLength(1)
    expect(mixTiers({ ...load, bytes: 36 * GIB + 1 }, by)).toEqual([])
    expect(mixTiers({ ...load, bytesPerSecond: 4e9 + 1 }, by)).toEqual([])
    expect(mixTiers({ ...load, ramBytesMin: 4 * GIB + 1, bytes: 5 * GIB }, by)).toEqual([])
    expect(mixTiers(load, { ...by, classes: [{ ...nodeClass, nodesMax: 0 }] })).toEqual([])
    expect(mixTiers({ ...load, bytes: 5 * GIB }, on('ram'))).toEqual([])
    expect(gib(mixTiers({ ...load, bytes: 5 * GIB }, on('ram', 's3')).at(-1))).toEqual([4, 0, 1])
  })

  test('knows the most that there can be: of throughput, and of bytes at a throughput', () => {
    const quick = { ...nodeClass, name: 'quick', ssdBytes: 0, bytesPerSecond: 9e9 }
    const by = { ...on('ram', 'ssd'), classes: [nodeClass, quick] }
    const most = mostOf(by)
    expect(most.bytesPerSecond).toBe(40e9)
    expect([0, 4e9, 4e9 + 1, 41e9].map((rate) => most.bytesAt(rate) / GIB)).toEqual([36, 36, 8, 0])
    expect(mostOf(on('ram', 's3')).bytesAt(1)).toBe(Number.POSITIVE_INFINITY)
    expect(mostOf({ ...by, classes: [] })).toMatchObject({ bytesPerSecond: 0 })
  })

  test('of a load without throughput, or on free nodes, is as any other', () => {
    expect(gib(mixTiers({ ...load, bytesPerSecond: 0 }, on('ram', 'ssd'))[0])).toEqual([0.2, 1.6, 0])
    const free = { ...on('ram', 'ssd', 's3'), classes: [{ ...nodeClass, pricePerHour: 0 }] }
    expect(gib(mixTiers(load, free)[0])).toEqual([1.8, 0, 0])
  })
})

describe('no split that a search finds is better', () => {
  // Small enough to try every integral split.
  const size = fc.integer({ min: 1, max: 24 })
  const price = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 10, noNaN: true }))
  const classes = fc.record({
    ramBytes: size,
    ssdBytes: fc.integer({ min: 0, max: 24 }),
    bytesPerSecond: size,
    pricePerHour: price,
    nodesMax: fc.integer({ min: 1, max: 3 }),
  })
  const loads = fc
    .record({
      bytes: fc.integer({ min: 1, max: 60 }),
      index: fc.double({ min: 0, max: 1, noNaN: true }),
      bytesPerSecond: fc.integer({ min: 0, max: 60 }),
      readsPerObject: fc.integer({ min: 0, max: 20 }),
    })
    .map(({ index, ...rest }) => ({ ...rest, ramBytesMin: Math.ceil(rest.bytes * index) }))
  const prices = fc.record({ pricePerGibHour: price, pricePerGibWritten: price, pricePerGibRead: price })
  const among = fc.constantFrom<Tier[]>(['ram'], ['ram', 'ssd'], ['ram', 's3'], ['ram', 'ssd', 's3'])

  /** The cost of a split on one class, computed directly from the rules; null if the split is impossible. */
  function judge(split: readonly [number, number, number], load: Load, { nodeClass, by }: Judged) {
    const [ram, ssd, s3] = split
    const part = Math.max(
      ram / nodeClass.ramBytes,
      ssd === 0 ? 0 : ssd / nodeClass.ssdBytes,
      load.bytesPerSecond / nodeClass.bytesPerSecond,
    )
    const isAllowed =
      (ssd === 0 || by.allowed.has('ssd')) && (s3 === 0 || by.allowed.has('s3')) && ram >= load.ramBytesMin
    if (part > nodeClass.nodesMax || !isAllowed) return null
    const { pricePerGibHour, pricePerGibWritten, pricePerGibRead } = by.traits.s3
    const reads = load.readsPerObject
    const moved = (3600 * load.bytesPerSecond * (s3 / load.bytes)) / GIB
    const charged =
      (s3 / GIB) * pricePerGibHour + moved * ((pricePerGibWritten + pricePerGibRead * reads) / (1 + reads))
    return {
      price: part * nodeClass.pricePerHour + charged,
      latency: (ram + 7 * ssd + 200 * s3) / load.bytes,
    }
  }
  interface Judged {
    readonly nodeClass: NodeClass
    readonly by: MixOptions
  }

  /** The minimum over all integral splits; exact if the optimum is integral. */
  function search(load: Load, judged: Judged): { price: number; latency: number } | null {
    let best: { price: number; latency: number } | null = null
    for (let ram = 0; ram <= load.bytes; ram++) {
      for (let ssd = 0; ssd <= load.bytes - ram; ssd++) {
        const value = judge([ram, ssd, load.bytes - ram - ssd], load, judged)
        if (value !== null && (best === null || isLess(value, best, judged.by.least))) best = value
      }
    }
    return best
  }

  function isLess(a: Value, b: Value, least: MixOptions['least']): boolean {
    const order = least === 'price' ? (['price', 'latency'] as const) : (['latency', 'price'] as const)
    for (const each of order) if (Math.abs(a[each] - b[each]) > 1e-9) return a[each] < b[each]
    return false
  }
  interface Value {
    readonly price: number
    readonly latency: number
  }

  test('tried byte by byte, and none is missed that there is', () => {
    fc.assert(
      fc.property(classes, loads, prices, among, (made, load, s3, allowed) => {
        const nodeClass: NodeClass = { name: 'a', cores: 1, ...made }
        const traits = { ...defaultTraits, s3: { p99Ms: 200, ...s3 } }
        for (const least of ['price', 'latency'] as const) {
          const by: MixOptions = { classes: [nodeClass], allowed: new Set(allowed), traits, least }
          const [mix] = mixTiers(load, by)
          const found = search(load, { nodeClass, by })
          expect(mix === undefined).toBe(found === null)
          if (mix === undefined || found === null) continue
          const { ram, ssd, s3: onS3 } = mix.bytes
          expect(ram + ssd + onS3).toBe(load.bytes)
          const own = judge([ram, ssd, onS3], load, { nodeClass, by })
          expect(own?.price).toBeCloseTo(mix.pricePerHour, 9)
          expect(own?.latency).toBeCloseTo(mix.latencyMs, 9)
          // Rounding up to whole bytes may use this much more of a node than the optimum.
          const rounding =
            nodeClass.pricePerHour * (1 / nodeClass.ramBytes + 1 / Math.max(1, nodeClass.ssdBytes))
          if (least === 'price') expect(mix.pricePerHour).toBeLessThanOrEqual(found.price + rounding + 1e-9)
          else expect(isLess(found, own ?? found, least)).toBe(false)
        }
      }),
      { seed, numRuns: 1_000 },
    )
  })

  test('tried at random on sizes as they really are', () => {
    const bytes = fc.integer({ min: 2 ** 20, max: 2 ** 34 })
    const fraction = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(
        fc.record({ ramBytes: bytes, ssdBytes: bytes, bytesPerSecond: bytes, pricePerHour: price }),
        fc.record({ bytes, bytesPerSecond: bytes, readsPerObject: fc.integer({ min: 0, max: 20 }) }),
        prices,
        fc.array(fc.tuple(fraction, fraction), { minLength: 50, maxLength: 50 }),
        (made, some, s3, points) => {
          const nodeClass: NodeClass = { name: 'a', cores: 1, nodesMax: 16, ...made }
          const load: Load = { ...some, ramBytesMin: Math.ceil(some.bytes / 17) }
          const traits = { ...defaultTraits, s3: { p99Ms: 200, ...s3 } }
          const by: MixOptions = {
            classes: [nodeClass],
            allowed: new Set(['ram', 'ssd', 's3']),
            traits,
            least: 'price',
          }
          const [mix] = mixTiers(load, by)
          for (const [first, second] of points) {
            const ram = load.ramBytesMin + Math.floor((load.bytes - load.ramBytesMin) * first)
            const ssd = Math.floor((load.bytes - ram) * second)
            const value = judge([ram, ssd, load.bytes - ram - ssd], load, { nodeClass, by })
            if (value === null) continue
            expect(mix?.pricePerHour).toBeLessThanOrEqual(value.price * (1 + 1e-9) + 1e-4)
          }
        },
      ),
      { seed, numRuns: 300 },
    )
  })
})
