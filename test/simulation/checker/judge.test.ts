import { expect, test } from 'vitest'
import { type Action, type Call, History } from '../traffic/history.ts'
import type { World } from './answers.ts'
import {
  consume,
  entries,
  failed,
  found,
  get,
  historyOf,
  home,
  list,
  put,
  remove,
  stored,
} from './histories.ts'
import { judge } from './judge.ts'
import type { Losses } from './losses.ts'
import { repeatsOf } from './repeats.ts'

const progress = { frozenUntilMs: 0, forgottenUntilMs: 0 }
const peace: World = {
  deaths: [],
  ends: new Map(),
  calmUntilMs: 0,
  lateMs: 0,
  jumpedMs: 0,
  progress,
  forgotten: new Set(),
  repeats: new Set(),
}

function died(atMs: number, losses: Partial<Losses>): World {
  const touches = (): Losses => ({ slot: false, chunks: false, ...losses })
  return { ...peace, deaths: [{ node: 'node-1', atMs, touches }] }
}

function rulesBroken(calls: readonly Call[], world: World = peace): string[] {
  return judge(calls, world).failures.map(({ rule }) => rule)
}

const disorder = ['not linearizable']
const answer = ['an answer that cannot be']

test('what was put is read, whoever reads it', () => {
  expect(rulesBroken(historyOf([0, 1, put('1:64'), stored(7)], [2, 3, get, found('1:64')]))).toEqual([])
})

test('an acknowledged put that is not there is lost', () => {
  expect(rulesBroken(historyOf([0, 1, put('1:64'), stored(7)], [2, 3, get, failed('NOT_FOUND')]))).toEqual(
    disorder,
  )
})

test('an append that a second process repeats may have happened twice with one answer, if the key was removed in between', () => {
  const append = { kind: 'append', value: '6:121' } as const
  const length = { kind: 'length', bytes: 121 } as const
  const broken = (action: Action, value: string): string[] => {
    const history = historyOf(
      [0, 1, append, length],
      [0, 20, append, length],
      [2, 3, action, found('6:121')],
      [15, 21, consume, found(value)],
    )
    const [original, copy] = history as [Call, Call]
    return rulesBroken(history, { ...peace, repeats: repeatsOf([{ original, copy }]) })
  }
  expect(broken(get, '6:121')).toEqual([])
  expect(broken(consume, '6:121')).toEqual([])
  expect(broken(get, '6:121+6:121')).toEqual(disorder)
})

test('a consume that waits takes nothing once its connection is closed', () => {
  const waiting = { kind: 'get', consume: true, waitSeconds: 1 } as const
  const calls = (overMs: number): Call[] =>
    historyOf(
      [0, Number.POSITIVE_INFINITY, waiting, { kind: 'none' }, { overMs }],
      [10, 11, put('1:64'), stored(7)],
      [12, 13, get, failed('NOT_FOUND')],
    )
  expect(rulesBroken(calls(12))).toEqual([])
  expect(rulesBroken(calls(5))).toEqual(disorder)
})

test('a value that was overwritten is stale', () => {
  const calls = historyOf(
    [0, 1, put('1:64'), stored(7)],
    [2, 3, put('2:64'), stored(8)],
    [4, 5, get, found('1:64')],
  )
  expect(rulesBroken(calls)).toEqual(disorder)
})

test('calls that overlap may have happened in any order, but in one order for all', () => {
  const puts = [
    [0, 10, put('1:64'), stored(7)],
    [0, 10, put('2:64'), stored(8)],
  ] as const
  const one = historyOf(...puts, [11, 12, get, found('1:64')], [13, 14, get, found('1:64')])
  const both = historyOf(...puts, [11, 12, get, found('1:64')], [13, 14, get, found('2:64')])
  expect([rulesBroken(one), rulesBroken(both)]).toEqual([[], disorder])
})

test('an object that two consumers get breaks exactly-once', () => {
  const calls = historyOf(
    [0, 1, put('1:64'), stored(7)],
    [2, 9, consume, found('1:64')],
    [2, 9, consume, found('1:64')],
  )
  expect(rulesBroken(calls)).toEqual(disorder)
})

test('ifAbsent and ifVersion succeed only where they hold', () => {
  const absent = historyOf([0, 1, put('1:64'), stored(7)], [2, 3, put('2:64', 'absent'), stored(8)])
  const version = historyOf(
    [0, 1, put('1:64'), stored(7)],
    [2, 3, put('2:64'), stored(8)],
    [4, 5, put('3:64', 7), stored(9)],
  )
  expect([rulesBroken(absent), rulesBroken(version)]).toEqual([disorder, disorder])
})

test('an append that was carried out twice shows in the length', () => {
  const append = { kind: 'append', value: '1:64' } as const
  const twice = historyOf([0, 1, append, { kind: 'length', bytes: 128 }])
  expect(rulesBroken(twice)).toEqual(disorder)
})

test('an append is refused only where the object is in chunks', () => {
  const append = { kind: 'append', value: '2:64' } as const
  const size = 2 ** 21
  const large = historyOf([0, 1, put(`1:${size}`), stored(7)], [2, 3, append, failed('BAD_REQUEST')])
  const small = historyOf([0, 1, put('1:64'), stored(7)], [2, 3, append, failed('BAD_REQUEST')])
  expect([rulesBroken(large), rulesBroken(small)]).toEqual([[], disorder])
})

test('a mutation whose outcome is unknown happened once at most, and may have happened', () => {
  const start = [
    [0, 1, put('1:64'), stored(7)],
    [2, 3, put('2:64'), failed('OUTCOME_UNKNOWN')],
  ] as const
  expect(rulesBroken(historyOf(...start, [4, 5, get, found('1:64')]))).toEqual([])
  expect(rulesBroken(historyOf(...start, [4, 5, get, found('2:64')]))).toEqual([])
  const undone = historyOf(
    ...start,
    [4, 5, get, found('2:64')],
    [6, 7, remove, { kind: 'existed', existed: true }],
    [8, 9, get, found('2:64')],
  )
  expect(rulesBroken(undone)).toEqual(disorder)
})

test('a wait that ends without the key missed it at its end', () => {
  const wait = { kind: 'get', consume: false, waitSeconds: 0.1 } as const
  const missed = historyOf([0, 100, wait, failed('NOT_FOUND')], [50, 51, put('1:64'), stored(7)])
  expect(rulesBroken(missed)).toEqual(disorder)
})

test('a listing has what was there during all of it, and nothing that was not', () => {
  const there = [0, 1, put('1:64'), stored(7)] as const
  expect(rulesBroken(historyOf(there, [2, 9, list, entries(['a', 64])]))).toEqual([])
  expect(rulesBroken(historyOf(there, [2, 9, list, entries()]))).toEqual(disorder)
  expect(rulesBroken(historyOf([2, 9, list, entries(['a', 64])], [10, 11, put('1:64'), stored(7)]))).toEqual(
    disorder,
  )
  expect(rulesBroken(historyOf(there, [2, 9, list, entries(['a', 64], ['a', 64])]))).toEqual(answer)
  expect(rulesBroken(historyOf(there, [2, 9, list, entries(['a', 64], ['b', 64])]))).toEqual(answer)
})

test('a key is lost only with a node that had it', () => {
  const calls = historyOf([0, 1, put('1:64'), stored(7)], [9, 10, get, failed('OBJECT_LOST')])
  expect(rulesBroken(calls, died(5, { slot: true }))).toEqual([])
  expect(rulesBroken(calls, died(5, {}))).toEqual(disorder)
  expect(rulesBroken(calls)).toEqual([...answer, ...disorder])
})

test('a key that was lost is not said to be missing, and a listing does not hide it', () => {
  const lost = died(5, { slot: true })
  const put1 = [0, 1, put('1:64'), stored(7)] as const
  expect(rulesBroken(historyOf(put1, [9, 10, get, failed('NOT_FOUND')]), lost)).toEqual(disorder)
  expect(rulesBroken(historyOf(put1, [9, 10, list, entries()]), lost)).toEqual(disorder)
  const accepts = { kind: 'list', prefix: '', acceptHoles: true } as const
  expect(rulesBroken(historyOf(put1, [9, 10, accepts, entries()]), lost)).toEqual([])
})

test('what was read after a death did not die, and what came back is older than what was overwritten', () => {
  const revived = historyOf(
    [0, 1, put('1:64'), stored(7)],
    [2, 3, put('2:64'), stored(8)],
    [9, 10, get, found('1:64')],
  )
  expect(rulesBroken(revived, died(5, { slot: true }))).toEqual(disorder)
})

test('a version names one put of a key', () => {
  expect(rulesBroken(historyOf([0, 1, put('1:64'), stored(7)], [2, 3, put('2:64'), stored(7)]))).toEqual(
    answer,
  )
  const elsewhere = { home: { ...home, key: 'b' } }
  const two = historyOf([0, 1, put('1:64'), stored(7)], [2, 3, put('2:64'), stored(7), elsewhere])
  expect(rulesBroken(two)).toEqual([])
})

test('a call fails only with what its operation may fail with', () => {
  expect(rulesBroken(historyOf([0, 1, get, failed('INTERNAL')]))).toEqual(answer)
  expect(rulesBroken(historyOf([0, 1, get, failed('OUTCOME_UNKNOWN')]))).toEqual(answer)
  expect(rulesBroken(historyOf([0, 1, get, failed('JOB_ENDED')]))).toEqual(answer)
  expect(
    rulesBroken(historyOf([0, 1, get, failed('JOB_ENDED')]), { ...peace, ends: new Map([['red', 0.5]]) }),
  ).toEqual([])
})

test('nobody notices anything before the first fault', () => {
  const calls = historyOf([0, 1, get, failed('UNAVAILABLE')])
  expect(rulesBroken(calls, { ...peace, calmUntilMs: 100 })).toEqual(answer)
  expect(rulesBroken(calls)).toEqual([])
})

test('the end of a client bounds its waits, and not a consume that the persistent store may carry out', () => {
  const history = new History()
  const begin = (key: string, action: Action): Call =>
    history.begin({ client: 'client', home: { ...home, key }, action, deadlineMs: 1, calledMs: 0 })
  begin('persisted', { ...put('1:64'), persist: true } as Action)
  begin('plain', put('2:64'))
  const [slow, waiting] = [begin('persisted', consume), begin('plain', consume)]
  history.waitsEnd('client', 5)
  expect([slow.overMs, waiting.overMs]).toEqual([Number.POSITIVE_INFINITY, 5])
})
