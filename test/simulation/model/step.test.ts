import { expect, test } from 'vitest'
import { absent, type Effect, type KeyState } from './state.ts'
import { step } from './step.ts'

const held: KeyState = { ...absent, value: '1:64', version: 7 }

function after(state: KeyState, what: Effect): KeyState[] {
  return step(state, { what, calledMs: 10, returnedMs: 20, call: null })
}

test('a stat tells the version of a put that was never answered', () => {
  const unanswered = { ...held, version: null }
  expect(after(unanswered, { kind: 'stat', found: { bytes: 64, version: 9, persist: false } })).toEqual([
    { ...held, version: 9 },
  ])
  expect(after(held, { kind: 'stat', found: { bytes: 64, version: 9, persist: false } })).toEqual([])
})

test('a value whose time is over is gone, and one whose time is nearly over may be', () => {
  const missing: Effect = { kind: 'get', consume: false, found: 'missing', mayHaveHoles: false }
  const until = (fromMs: number, toMs: number) => ({ ...held, expiry: { fromMs, toMs } })
  const there: Effect = { ...missing, found: { value: '1:64' } }
  expect([after(until(100, 110), missing).length, after(until(100, 110), there).length]).toEqual([0, 1])
  expect([after(until(15, 16), missing).length, after(until(15, 16), there).length]).toEqual([1, 1])
  expect([after(until(1, 2), missing).length, after(until(1, 2), there).length]).toEqual([1, 0])
})

test('a death takes a key whole or in part, and a put heals it', () => {
  expect(after(held, { kind: 'death', slot: true, chunks: false })).toEqual([{ ...absent, lost: 'fresh' }])
  expect(after(held, { kind: 'death', slot: false, chunks: true })).toEqual([{ ...held, holes: true }])
  const put: Effect = {
    kind: 'put',
    value: '2:64',
    large: false,
    persist: false,
    rule: 'always',
    ttlMs: 0,
    lateMs: 0,
    earlyMs: 0,
    result: 'stored',
    version: 8,
    mayHaveHoles: false,
  }
  expect(after({ ...absent, lost: 'fresh' }, put)).toEqual([
    { ...held, value: '2:64', version: 8, lost: 'old' },
  ])
})

test('no death takes a key that is persisted, but its version may be another one', () => {
  const persisted = { ...held, persisted: true }
  expect(after(persisted, { kind: 'death', slot: true, chunks: true })).toEqual([
    { ...persisted, version: null, lost: 'old' },
  ])
  expect(after(persisted, { kind: 'death', slot: false, chunks: true })).toEqual([])
  expect(after(persisted, { kind: 'append', value: '2:64', bytes: 128 })).toEqual([])
})

test('only a chunk that was lost, or a reader who was too slow, makes a consume fail as lost', () => {
  const large = { ...held, large: true }
  const lost: Effect = { kind: 'get', consume: true, found: 'lost', mayHaveHoles: false }
  expect(after(large, lost)).toEqual([])
  expect(after(large, { ...lost, mayHaveHoles: true })).toEqual([absent])
})

test('a death may take a key that is persisted once something of unknown outcome may have removed it from the store', () => {
  const persisted = { ...held, persisted: true }
  const shaky = { ...persisted, shaky: true }
  expect(after(persisted, { kind: 'get', consume: true, found: 'unknown', mayHaveHoles: false })).toEqual([
    absent,
    shaky,
  ])
  expect(after(shaky, { kind: 'death', slot: true, chunks: false })).toContainEqual({
    ...absent,
    lost: 'fresh',
  })
})
