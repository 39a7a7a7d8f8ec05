import { describe, expect, test } from 'vitest'
import { type Hints, type SizingOptions, rightsize as size } from '../../../controller/sizing/rightsizing.ts'
import { learn } from '../../../controller/sizing/run-stats.ts'
import { defaultTraits } from '../../../controller/sizing/tier-traits.ts'
import type { Tier } from '../../../protocol/operations/data-operations.ts'

const MIB = 1024 * 1024
const nodeClass = {
  name: 'local',
  cores: 1,
  ramBytes: 1024 * MIB,
  ssdBytes: 8192 * MIB,
  bytesPerSecond: 1_000_000_000,
  pricePerHour: 0.1,
  nodesMax: 4,
}
const onlyRam: ReadonlySet<Tier> = new Set(['ram'])
const sizing: SizingOptions = {
  nodeClass,
  classes: [nodeClass],
  traits: defaultTraits,
  served: onlyRam,
  learned: null,
}
const withSsd: SizingOptions = { ...sizing, served: new Set(['ram', 'ssd']) }
const inRam = { latencyClass: 'ram', ssdBytes: 0, s3Bytes: 0, s3PricePerHour: 0, readsPerObject: null }
const limit = { ramBytes: 4096 * MIB, bytesPerSecond: 4_000_000_000 }
const rightsize = (hints: Hints, by = sizing) => size(hints, by).demand

describe('rightsizing', () => {
  test('gives a job without hints an eighth of a node', () => {
    expect(rightsize({}, sizing)).toEqual({
      ...inRam,
      ramBytes: 128 * MIB,
      bytesPerSecond: 125_000_000,
    })
  })

  test('takes explicit hints as they are, with headroom for keys and index on top of the payload', () => {
    const demand = rightsize({ capacityBytes: 64 * MIB, peakBytesPerSecond: 5, maxFunctions: 10 }, sizing)
    expect(demand).toEqual({ ...inRam, ramBytes: 69 * MIB, bytesPerSecond: 5 })
  })

  test('gives each function 0.6 Gb/s and memory in proportion', () => {
    const demand = rightsize({ maxFunctions: 4 }, sizing)
    expect(demand.bytesPerSecond).toBe(300_000_000)
    expect(demand.ramBytes).toBe(Math.ceil(0.3 * nodeClass.ramBytes))
  })

  test('lets throughput follow from capacity, and capacity from throughput', () => {
    expect(rightsize({ capacityBytes: 512 * MIB }, sizing).bytesPerSecond).toBe(500_000_000)
    expect(rightsize({ peakBytesPerSecond: 500_000_000 }, sizing).ramBytes).toBe(512 * MIB)
  })

  test('prefers the hint of functions to a guess from capacity', () => {
    const demand = rightsize({ capacityBytes: 512 * MIB, maxFunctions: 2 }, sizing)
    expect(demand.bytesPerSecond).toBe(150_000_000)
  })

  test('derives no more than the cluster can ever have, and leaves what was hinted as it is', () => {
    expect(rightsize({ maxFunctions: 1_000 }, sizing)).toMatchObject(limit)
    expect(rightsize({ maxFunctions: 1_000, capacityBytes: 64 * MIB }, sizing)).toMatchObject({
      ramBytes: 69 * MIB,
      bytesPerSecond: limit.bytesPerSecond,
    })
  })

  test('refuses a hint that no number of nodes could meet, with what was asked and what there is', () => {
    const asked = (hints: Hints, by = sizing) => expect(() => rightsize(hints, by))
    asked({ maxFunctions: 1, peakBytesPerSecond: 9e9 }).toThrow(
      'Asked for 80530637 bytes and 9000000000 bytes/s on ram; all nodes that there may be have 4294967296 bytes and 4000000000 bytes/s of that; it can never be met',
    )
    asked({ capacityBytes: 2 ** 40 }).toThrow('Asked for 1168232153088 bytes and 4000000000 bytes/s on ram;')
    asked({ capacityBytes: 2 ** 40 }, withSsd).toThrow(
      'on ram, ssd; all nodes that there may be have 38654705664',
    )
    asked({ capacityBytes: 2 ** 40, latencyMs: 2 }, withSsd).toThrow('on ram; all nodes')
    asked({}, { ...sizing, classes: [{ ...nodeClass, nodesMax: 0 }] }).toThrow('have 0 bytes and 0 bytes/s')
  })

  test('never asks for less than something', () => {
    const demand = rightsize({ capacityBytes: 1, peakBytesPerSecond: 1 }, sizing)
    expect(demand.ramBytes).toBeGreaterThan(MIB)
    expect(demand.bytesPerSecond).toBe(1)
  })

  test('puts a job that is not latency sensitive on the cheapest tiers that nodes serve', () => {
    const hints = { capacityBytes: 4096 * MIB, peakBytesPerSecond: 1, latencySensitive: false }
    expect(rightsize({ ...hints, capacityBytes: 64 * MIB })).toEqual({
      ...inRam,
      ramBytes: 69 * MIB,
      bytesPerSecond: 1,
    })
    // 4,353 MiB fill the same fraction of a node's RAM as of its SSD: 4,353 of 1,024 + 8,192.
    const onSsd = rightsize(hints, withSsd)
    expect(onSsd.ramBytes / nodeClass.ramBytes).toBeCloseTo(4353 / 9216, 6)
    expect(onSsd.ssdBytes / nodeClass.ssdBytes).toBeCloseTo(4353 / 9216, 6)
    expect(onSsd.ramBytes + onSsd.ssdBytes).toBe(4353 * MIB)
    const { mixes } = size(hints, withSsd).reasons
    expect(mixes[0]?.pricePerHour).toBeCloseTo((0.1 * 4353) / 9216, 6)
    // Without this rule it would have blocked 4.25 nodes; it takes at most all RAM of the four nodes.
    expect(mixes[1]).toMatchObject({ bytes: { ram: 4096 * MIB, ssd: 257 * MIB }, pricePerHour: 0.4 })
  })

  test('keeps keys and index in RAM where payload is elsewhere', () => {
    const slow = { ...nodeClass, ramBytes: 1024 * MIB, ssdBytes: 1024 * 1024 * MIB }
    const hints = { capacityBytes: 1600 * MIB, peakBytesPerSecond: 1, latencySensitive: false }
    const demand = rightsize(hints, { ...withSsd, classes: [slow] })
    expect(demand).toEqual({
      readsPerObject: null,
      latencyClass: 'ssd',
      ramBytes: Math.ceil((1701 * MIB) / 17),
      ssdBytes: 1701 * MIB - Math.ceil((1701 * MIB) / 17),
      s3Bytes: 0,
      bytesPerSecond: 1,
      s3PricePerHour: 0,
    })
  })

  test('fills RAM first for a latency-sensitive job, and spills what it has not to the next tier', () => {
    const hints = { capacityBytes: 6000 * MIB, peakBytesPerSecond: 1 }
    const demand = rightsize(hints, withSsd)
    expect(demand).toMatchObject({ latencyClass: 'ram', ramBytes: 4096 * MIB, ssdBytes: (6376 - 4096) * MIB })
    expect(rightsize({ ...hints, capacityBytes: 3000 * MIB }, withSsd).ssdBytes).toBe(0)
  })

  test('lays a job with latencyMs on the cheapest tiers that answer so fast', () => {
    const hints = { capacityBytes: 64 * MIB, peakBytesPerSecond: 1 }
    const tiersOf = (more: Hints) => {
      const { ramBytes, ssdBytes, s3Bytes } = rightsize({ ...hints, ...more }, everywhere)
      return [ramBytes > 0, ssdBytes > 0, s3Bytes > 0]
    }
    const everywhere: SizingOptions = { ...sizing, served: new Set(['ram', 'ssd', 's3']) }
    expect(tiersOf({ latencyMs: 1 })).toEqual([true, false, false])
    expect(tiersOf({ latencyMs: 7 })).toEqual([true, true, false])
    expect(tiersOf({ latencyMs: 200 })).toEqual([true, true, true])
    expect(tiersOf({ latencyMs: 7, latencySensitive: true })).toEqual([true, false, false])
    expect(() => rightsize({ ...hints, latencyMs: 0.5 }, everywhere)).toThrow(
      'No tier answers within the hint latencyMs 0.5: storage nodes serve ram (p99 1 ms), ssd (p99 7 ms), s3 (p99 200 ms)',
    )
    const because =
      'hint latencySensitive false and latencyMs 7: the cheapest, of ram (p99 1 ms), ssd (p99 7 ms)'
    expect(size({ latencyMs: 7, latencySensitive: false }, everywhere).reasons.latencyClass).toEqual({
      ground: 'hint',
      because,
    })
  })

  test('gives more throughput to the same capacity, and less capacity to the same throughput, the more often objects are read', () => {
    const capacityBytes = 128 * MIB
    expect(rightsize({ capacityBytes, readsPerObject: 1 }).bytesPerSecond).toBe(125_000_000)
    expect(rightsize({ capacityBytes, readsPerObject: 9 }).bytesPerSecond).toBe(625_000_000)
    expect(rightsize({ capacityBytes, readsPerObject: 0 }).bytesPerSecond).toBe(62_500_000)
    expect(rightsize({ maxFunctions: 4, readsPerObject: 2 }).ramBytes).toBe(
      Math.ceil(0.2 * nodeClass.ramBytes),
    )
    expect(size({ capacityBytes, readsPerObject: 2.5 }, sizing).reasons.bytesPerSecond.because).toBe(
      'capacity 134217728 × (1000000000 bytes/s per 1073741824 bytes of class local × (1 + readsPerObject 2.5) / 2)',
    )
    expect(rightsize({ readsPerObject: 9 })).toEqual({ ...rightsize({}), readsPerObject: 9 })
    const hinted = { capacityBytes, peakBytesPerSecond: 7 }
    expect(rightsize({ ...hinted, readsPerObject: 9 })).toEqual({ ...rightsize(hinted), readsPerObject: 9 })
  })

  test('says of each number from where it comes, with the arithmetic', () => {
    const { reasons } = size({ maxFunctions: 4, latencySensitive: true }, sizing)
    expect(reasons).toEqual({
      latencyClass: { ground: 'hint', because: 'hint latencySensitive true: RAM first, of ram (p99 1 ms)' },
      bytes: {
        ground: 'table',
        because: 'throughput 300000000 ÷ 1000000000 bytes/s per 1073741824 bytes of class local',
      },
      bytesPerSecond: { ground: 'table', because: '4 functions × 75000000 bytes/s' },
      mixes: [
        {
          nodeClasses: ['local'],
          bytes: { ram: 322_122_548, ssd: 0, s3: 0 },
          pricePerHour: expect.closeTo(0.03, 9),
          s3PricePerHour: 0,
          latencyMs: 1,
        },
      ],
    })
    expect(size({}, sizing).reasons.bytes).toEqual({
      ground: 'default',
      because: 'no hint: 1/8 of the 1073741824 bytes of a node of class local',
    })
    expect(size({ maxFunctions: 1_000 }, sizing).reasons.bytesPerSecond.because).toContain('cut to all')
    expect(size({ capacityBytes: 64 * MIB }, sizing).reasons.bytes.ground).toBe('hint')
  })
})

describe('the history of a job name', () => {
  const run = (bytes: number, bytesPerSecond = bytes) => ({
    job: `j-${bytes}`,
    name: 'a',
    endedAtMs: bytes,
    peak: { bytes, bytesPerSecond },
    reads: null,
  })
  const learnedFrom = (...peaks: number[]) => learn(peaks.map((peak) => run(peak)))

  test('counts from the third run on', () => {
    expect(learnedFrom(1, 2)).toBeNull()
    expect(learnedFrom(1, 2, 3)).toMatchObject({ runs: 3, peak: { bytes: 3, bytesPerSecond: 2 } })
  })

  test('knows how often objects are read, and whether that holds for each of them', () => {
    const learnedOf = (...reads: Parameters<typeof learn>[0][number]['reads'][]) =>
      learn(reads.map((each) => ({ ...run(1), reads: each })))
    const even = { perObject: 2, variance: 0.1 }
    expect(learnedOf(even, even, even)).toMatchObject({ readsPerObject: 2, isEven: true })
    const skewed = { perObject: 2, variance: 40 }
    expect(learnedOf(skewed, skewed, skewed)).toMatchObject({ readsPerObject: 2, isEven: false })
    // Each run by itself is even, but the next one may be like any of them.
    const apart = [1, 1, 10].map((perObject) => ({ perObject, variance: 0 }))
    expect(learnedOf(...apart)).toMatchObject({ readsPerObject: 4, isEven: false })
    const unknown = { perObject: 3, variance: null }
    expect(learnedOf(unknown, unknown, even)).toMatchObject({ isEven: false })
    expect(learnedOf(null, null, null)).toMatchObject({ readsPerObject: null, isEven: false })
  })

  test('tells nodes what it knows of reads, unless a hint does', () => {
    const reads = { perObject: 2, variance: 0 }
    const learned = learn([1, 2, 3].map(() => ({ ...run(MIB), reads })))
    const skewed = learn([1, 2, 3].map(() => ({ ...run(MIB), reads: { perObject: 2, variance: 40 } })))
    expect(rightsize({}, { ...sizing, learned }).readsPerObject).toBe(2)
    expect(rightsize({}, { ...sizing, learned: skewed }).readsPerObject).toBeNull()
    expect(rightsize({ readsPerObject: 7 }, { ...sizing, learned }).readsPerObject).toBe(7)
  })

  test('is the 95th percentile of the peaks: of twenty runs the one that went astray is left out', () => {
    const nineteen = Array.from({ length: 19 }, (_, index) => 100 + index)
    expect(learnedFrom(...nineteen, 1e12)?.peak.bytes).toBe(118)
  })

  test('takes the place of the table, of bytes with a fifth more, of throughput the run in the middle, and says so', () => {
    const learned = learnedFrom(10 * MIB, 20 * MIB, 30 * MIB)
    const { demand, reasons } = size({ maxFunctions: 64 }, { ...sizing, learned })
    expect(demand).toMatchObject({ ramBytes: 36 * MIB, bytesPerSecond: 20 * MIB })
    expect(reasons).toMatchObject({
      bytes: { ground: 'history', because: 'percentile 95 of the peaks of 3 runs, 31457280, × 1.2' },
      bytesPerSecond: { ground: 'history', because: 'percentile 50 of the peaks of 3 runs, 20971520, × 1' },
    })
  })

  test('never takes the place of an explicit hint, and never asks for more than there can be', () => {
    const learned = learnedFrom(1e12, 1e12, 1e12)
    const hints = { capacityBytes: 64 * MIB, peakBytesPerSecond: 5 }
    expect(size(hints, { ...sizing, learned }).demand).toMatchObject({
      ramBytes: 69 * MIB,
      bytesPerSecond: 5,
    })
    expect(size({}, { ...sizing, learned }).demand).toMatchObject(limit)
  })
})
