import { describe, expect, test } from 'vitest'
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

describe('rightsizing', () => {
  test('gives a job without hints an eighth of a node', () => {
    expect(rightsize({}, nodeClass)).toEqual({
      latencyClass: 'ram',
      ramBytes: 128 * MIB,
      bytesPerSecond: 125_000_000,
    })
  })

  test('takes explicit hints as they are, with headroom for keys and index on top of the payload', () => {
    const demand = rightsize({ capacityBytes: 64 * MIB, peakBytesPerSecond: 5, maxFunctions: 10 }, nodeClass)
    expect(demand).toEqual({ latencyClass: 'ram', ramBytes: 69 * MIB, bytesPerSecond: 5 })
  })

  test('gives each function 0.6 Gb/s and memory in proportion', () => {
    const demand = rightsize({ maxFunctions: 4 }, nodeClass)
    expect(demand.bytesPerSecond).toBe(300_000_000)
    expect(demand.ramBytes).toBe(Math.ceil(0.3 * nodeClass.ramBytes))
  })

  test('lets throughput follow from capacity, and capacity from throughput', () => {
    expect(rightsize({ capacityBytes: 512 * MIB }, nodeClass).bytesPerSecond).toBe(500_000_000)
    expect(rightsize({ peakBytesPerSecond: 500_000_000 }, nodeClass).ramBytes).toBe(512 * MIB)
  })

  test('prefers the hint of functions to a guess from capacity', () => {
    const demand = rightsize({ capacityBytes: 512 * MIB, maxFunctions: 2 }, nodeClass)
    expect(demand.bytesPerSecond).toBe(150_000_000)
  })

  test('never asks for less than something', () => {
    const demand = rightsize({ capacityBytes: 1, peakBytesPerSecond: 1 }, nodeClass)
    expect(demand.ramBytes).toBeGreaterThan(MIB)
    expect(demand.bytesPerSecond).toBe(1)
  })

  test('puts a job that is not latency sensitive on the cheapest tier that nodes serve', () => {
    expect(rightsize({ latencySensitive: false }, nodeClass).latencyClass).toBe('ram')
  })
})
