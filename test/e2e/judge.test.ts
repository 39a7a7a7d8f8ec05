import { expect, test } from 'vitest'
import type { Call } from './support/history.ts'
import { judge } from './support/judge.ts'

/** A call of 10 ms, as a history records it. */
function call(kind: Call['kind'], key: string, atMs: number, rest: Partial<Call> = {}): Call {
  return { kind, key, number: 0, code: 'ok', boundMs: 4_000, invokedMs: atMs, returnedMs: atMs + 10, ...rest }
}

const put = (number: number, atMs: number, rest: Partial<Call> = {}) =>
  call('put', 'r/0', atMs, { number, ...rest })
const get = (number: number, atMs: number, rest: Partial<Call> = {}) =>
  call('get', 'r/0', atMs, { number, ...rest })
const lost = { code: 'OBJECT_LOST' } as const
const missing = { code: 'NOT_FOUND' } as const
const unknown = { code: 'OUTCOME_UNKNOWN' } as const
const won = (kind: 'swap' | 'claim', atMs: number, rest: Partial<Call> = {}) => call(kind, 's/0', atMs, rest)
const queued = (kind: 'put' | 'consume', atMs: number, rest: Partial<Call> = {}) =>
  call(kind, 'q/0', atMs, { number: 1, ...rest })
const append = (number: number, atMs: number, rest: Partial<Call> = {}) =>
  call('append', 'a/0', atMs, { number, ...rest })
const list = (keys: readonly string[], atMs: number) => call('list', 'r/', atMs, { keys })

const right: readonly [string, readonly Call[], number[]][] = [
  [
    'a get beside a put sees the value before or after',
    [put(1, 0), put(2, 100), get(1, 105), get(2, 106)],
    [],
  ],
  [
    'a put without an answer shows at any time',
    [put(1, 0), put(2, 20, unknown), put(3, 40), get(2, 60), get(3, 80)],
    [],
  ],
  ['what a dead node had is lost', [put(1, 0), get(0, 100, lost), put(2, 200), get(2, 300)], [50]],
  ['a log begins anew after a loss', [append(100, 0), append(200, 20), append(100, 100)], [50]],
  [
    'an append without an answer counts or not',
    [append(100, 0), append(0, 20, unknown), append(300, 40)],
    [],
  ],
  ['a key is claimed again after a loss', [won('claim', 0), won('claim', 100)], [50]],
  [
    'what may have been consumed is missing',
    [queued('put', 0), queued('consume', 20, unknown), queued('consume', 40, missing)],
    [],
  ],
]

const wrong: readonly [string, readonly Call[], number[]][] = [
  ['stale', [put(1, 0), put(2, 20), get(1, 40)], []],
  ['stale', [put(1, 0), put(2, 20), get(2, 21, { returnedMs: 25 }), get(1, 26)], []],
  ['nowhere', [put(1, 0), get(2, 20)], []],
  ['failed can be seen', [put(1, 0, { code: 'UNAVAILABLE', returnedMs: 4_000 }), get(1, 5_000)], [0]],
  ['fails', [put(1, 0), get(0, 20, { code: 'WRONG_BYTES' })], []],
  ['missing', [put(1, 0), get(0, 20, missing)], [10]],
  [
    'missing',
    [call('wait', 'w/0', 0, { ...missing, returnedMs: 2_100 }), call('put', 'w/0', 500, { number: 1 })],
    [],
  ],
  ['no node died', [put(1, 0), get(0, 20, lost)], []],
  ['no node died', [put(1, 100), get(0, 120, lost)], [50]],
  ['is back', [put(1, 0), get(0, 100, lost), get(1, 200)], [50]],
  ['consumed twice', [queued('put', 0), queued('consume', 20), queued('consume', 40)], []],
  ['missing', [queued('put', 0), queued('consume', 20, missing)], []],
  ['one record', [append(100, 0), append(100, 20)], []],
  ['one record', [append(100, 0), append(300, 20)], []],
  ['won twice', [won('swap', 0, { base: 7 }), won('swap', 100, { base: 7 })], [50]],
  ['won twice', [won('claim', 0), won('claim', 100)], []],
  ['r/0 is missing', [put(1, 0), list([], 20)], []],
  ['appears twice', [put(1, 0), list(['r/0', 'r/0'], 20)], []],
  ['hangs', [put(1, 0, { returnedMs: 9_000 })], []],
  ['fails', [put(1, 0, { code: 'INTERNAL' })], []],
  ['gives up early', [put(1, 0, { code: 'UNAVAILABLE', returnedMs: 1_000 })], []],
]

test.each(right)('a history is right: %s', (_, calls, lossesMs) => {
  const mayLose = calls.some(({ code }) => code === 'OBJECT_LOST' || code === 'OUTCOME_UNKNOWN')
  expect(judge({ calls, lossesMs }, { mayFail: mayLose })).toEqual([])
})

test.each(wrong)('a history is wrong: %s', (problem, calls, lossesMs) => {
  const found = judge({ calls, lossesMs }, { mayFail: true })
  expect(found).toHaveLength(1)
  expect(found[0]).toContain(problem)
})

test('where nothing may fail, an honest failure is wrong too', () => {
  expect(judge({ calls: [put(1, 0, unknown)], lossesMs: [] }, { mayFail: false })).toHaveLength(1)
})
