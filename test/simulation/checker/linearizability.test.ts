import { expect, test } from 'vitest'
import type { Effect, Operation } from '../model/state.ts'
import { checkOrder } from './linearizability.ts'

function put(value: string, calledMs: number, returnedMs: number): Operation {
  const what: Effect = {
    kind: 'put',
    value,
    large: false,
    persist: false,
    rule: 'always',
    ttlMs: 0,
    lateMs: 0,
    earlyMs: 0,
    result: Number.isFinite(returnedMs) ? 'stored' : 'unknown',
    version: null,
    mayHaveHoles: false,
  }
  return { what, calledMs, returnedMs, call: null }
}

test('a verdict names the call that no order explains, and what the key could have been', () => {
  const get: Operation = {
    what: { kind: 'get', consume: false, found: 'missing', mayHaveHoles: false },
    calledMs: 2,
    returnedMs: 3,
    call: 1,
  }
  const verdict = checkOrder([put('1:64', 0, 1), get])
  expect(verdict).toEqual({ kind: 'violated', operation: get, states: ['1:64@null||no|false'] })
})

test('a checker that cannot look at all orders says so', () => {
  const unknown = Array.from({ length: 12 }, (_, id) => put(`${id}:64`, 0, Number.POSITIVE_INFINITY))
  expect(checkOrder([...unknown, put('99:64', 1, 2)], { coursesMax: 1_000 })).toEqual({ kind: 'gaveUp' })
})
