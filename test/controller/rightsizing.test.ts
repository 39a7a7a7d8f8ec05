import { describe, expect, test } from 'vitest'
import { learn } from '../../controller/history.ts'
import { limitOf } from '../../controller/node-class.ts'
import { type Hints, rightsize as size } from '../../controller/rightsizing.ts'

const MIB = 1024 * 1024
const nodeClass = {
  name: 'local',
  cores: 1,
  ramBytes: 1024 * MIB,
  bytesPerSecond: 1_000_000_000,
  pricePerHour: 0.1,
  nodesMax: 4,
}
const sizing = { nodeClass, limit: limitOf([nodeClass]), learned: null }
const rightsize = (hints: Hints, by = sizing) => size(hints, by).demand

describe('rightsizing', () => {
  test('gives a job without hints an eighth of a node', () => {
    expect(rightsize({}, sizing)).toEqual({
      latencyClass: 'ram',
      ramBytes: 128 * MIB,
      bytesPerSecond: 125_000_000,
    })
  })

  test('takes explicit hints as they are, with headroom for keys and index on top of the payload', () => {
    const demand = rightsize({ capacityBytes: 64 * MIB, peakBytesPerSecond: 5, maxFunctions: 10 }, sizing)
    expect(demand).toEqual({ latencyClass: 'ram', ramBytes: 69 * MIB, bytesPerSecond: 5 })
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
    expect(rightsize({ maxFunctions: 1_000 }, sizing)).toMatchObject(sizing.limit)
    expect(rightsize({ maxFunctions: 1_000, capacityBytes: 64 * MIB }, sizing)).toMatchObject({
      ramBytes: 69 * MIB,
      bytesPerSecond: sizing.limit.bytesPerSecond,
    })
    expect(rightsize({ maxFunctions: 1, peakBytesPerSecond: 9e9 }, sizing).bytesPerSecond).toBe(9e9)
    expect(rightsize({ capacityBytes: 2 ** 40 }, sizing).ramBytes).toBeGreaterThan(2 ** 40)
  })

  test('never asks for less than something', () => {
    const demand = rightsize({ capacityBytes: 1, peakBytesPerSecond: 1 }, sizing)
    expect(demand.ramBytes).toBeGreaterThan(MIB)
    expect(demand.bytesPerSecond).toBe(1)
  })

  test('puts a job that is not latency sensitive on the cheapest tier that nodes serve', () => {
    expect(rightsize({ latencySensitive: false }, sizing).latencyClass).toBe('ram')
  })

  test('says of each number from where it comes, with the arithmetic', () => {
    const { reasons } = size({ maxFunctions: 4, latencySensitive: true }, sizing)
    expect(reasons).toEqual({
      latencyClass: { ground: 'hint', because: 'hint latencySensitive true' },
      bytes: {
        ground: 'table',
        because: 'throughput 300000000 ÷ 1000000000 bytes/s per 1073741824 bytes of class local',
      },
      bytesPerSecond: { ground: 'table', because: '4 functions × 75000000 bytes/s' },
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
  })
  const learnedFrom = (...peaks: number[]) => learn(peaks.map((peak) => run(peak)))

  test('counts from the third run on', () => {
    expect(learnedFrom(1, 2)).toBeNull()
    expect(learnedFrom(1, 2, 3)).toEqual({ runs: 3, peak: { bytes: 3, bytesPerSecond: 3 } })
  })

  test('is the 95th percentile of the peaks: of twenty runs the one that went astray is left out', () => {
    const nineteen = Array.from({ length: 19 }, (_, index) => 100 + index)
    expect(learnedFrom(...nineteen, 1e12)?.peak.bytes).toBe(118)
  })

  test('takes the place of the table, with a fifth more, and says so', () => {
    const learned = learnedFrom(10 * MIB, 20 * MIB, 30 * MIB)
    const { demand, reasons } = size({ maxFunctions: 64 }, { ...sizing, learned })
    expect(demand).toMatchObject({ ramBytes: 36 * MIB, bytesPerSecond: 36 * MIB })
    const because = 'percentile 95 of the peaks of 3 runs, 31457280, × 1.2'
    expect(reasons).toMatchObject({ bytes: { ground: 'history', because }, bytesPerSecond: { because } })
  })

  test('never takes the place of an explicit hint, and never asks for more than there can be', () => {
    const learned = learnedFrom(1e12, 1e12, 1e12)
    const hints = { capacityBytes: 64 * MIB, peakBytesPerSecond: 5 }
    expect(size(hints, { ...sizing, learned }).demand).toMatchObject({
      ramBytes: 69 * MIB,
      bytesPerSecond: 5,
    })
    expect(size({}, { ...sizing, learned }).demand).toMatchObject(sizing.limit)
  })
})
