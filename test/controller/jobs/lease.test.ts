import { describe, expect, test } from 'vitest'
import { hasLapsed } from '../../../controller/jobs/lease.ts'
import { planWarmNodes } from '../../../controller/nodes/warm-nodes.ts'

describe('a lease', () => {
  test('lapses once the nodes have told of more unused time than it has', () => {
    expect(hasLapsed({ usedMs: 1_000, knownUntilMs: 11_000 }, 10_000)).toBe(false)
    expect(hasLapsed({ usedMs: 1_000, knownUntilMs: 11_001 }, 10_000)).toBe(true)
  })

  test('does not lapse while a node has not told of the last use', () => {
    expect(hasLapsed({ usedMs: 0, knownUntilMs: null }, 10_000)).toBe(false)
  })
})

describe('warm nodes', () => {
  const state = {
    open: ['a', 'b', 'c'],
    reserved: new Set<string>(),
    warmNodes: 1,
    room: 4,
    expected: new Set<string>(),
  }

  test('beyond the wanted number stop, the newest first', () => {
    expect(planWarmNodes(state)).toEqual({ stop: ['b', 'c'], start: 0 })
  })

  test('on which jobs are expected do not stop, beside those that are wanted anyway', () => {
    expect(planWarmNodes({ ...state, expected: new Set(['b']) })).toEqual({ stop: ['c'], start: 0 })
  })

  test('with a reservation never stop', () => {
    expect(planWarmNodes({ ...state, reserved: new Set(['b', 'c']), warmNodes: 0 })).toEqual({
      stop: ['a'],
      start: 0,
    })
  })

  test('are started while fewer are without a reservation, as far as there is room', () => {
    expect(planWarmNodes({ ...state, open: [], warmNodes: 3 })).toEqual({ stop: [], start: 3 })
    expect(planWarmNodes({ ...state, open: ['a'], warmNodes: 3, room: 1 })).toEqual({ stop: [], start: 1 })
    const taken = { ...state, reserved: new Set(['a', 'b', 'c']) }
    expect(planWarmNodes(taken)).toEqual({ stop: [], start: 1 })
    expect(planWarmNodes({ ...taken, room: 0 })).toEqual({ stop: [], start: 0 })
  })
})
