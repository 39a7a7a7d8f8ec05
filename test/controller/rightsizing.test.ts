import { describe, expect, test } from 'vitest'
import { limitOf } from '../../controller/node-class.ts'
import { rightsize } from '../../controller/rightsizing.ts'

const MIB = 1024 * 1024
const nodeClass = {
  name: 'local',
  cores: 1,
  ramBytes: 1024 * MIB,
  bytesPerSecond: 1_000_000_000,
  pricePerHour: 0.1,
  nodesMax: 4,
}
const sizing = { nodeClass, limit: limitOf([nodeClass]) }

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
})
