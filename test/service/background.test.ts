import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { AssertionError, assert } from '../../protocol/assert.ts'
import { answeredError, asMayflyError, errorTable, MayflyError } from '../../protocol/errors.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { Background, mustEndProcess } from '../../service/process/background.ts'

function start() {
  const lines: { level: number; msg: string; task: string }[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const background = new Background({ runtime: systemRuntime, log })
  onTestFinished(() => background.stop())
  return { background, lines }
}

/** Answers of peers, and errors of backends and bugs. */
const failures: readonly unknown[] = [
  ...Object.values(errorTable).map(({ wire }) => answeredError(wire, 'a peer says so')),
  answeredError(9_999, 'a peer of another version says so'),
  new MayflyError('INTERNAL', 'of our own'),
  new Database.SqliteError('disk I/O error', 'SQLITE_IOERR'),
  Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }),
  new TypeError('x is not a function'),
  'no error at all',
  undefined,
]

test('I21: whatever a task fails with, it is counted, logged once and repeated until it succeeds, and nothing else happens', async () => {
  const persistThrough = async (failure: unknown): Promise<void> => {
    const { background, lines } = start()
    let runs = 0
    await background.persist(['drive', 'j-1'], async () => {
      if (++runs < 4) throw failure
    })
    expect(runs).toBe(4)
    expect(background.report()).toEqual([{ task: 'drive', failures: 3, failing: 0, reason: '' }])
    expect(lines.filter(({ level }) => level >= 40)).toHaveLength(1)
    expect(lines.at(-1)?.msg).toBe('a failing task has succeeded, or is no longer needed')
  }
  await Promise.all(failures.map(persistThrough))
})

test('a bug of its own is an error in the log, with its stack; an INTERNAL of a peer, or of a backend, is a warning', async () => {
  const { background, lines } = start()
  await background.attempt(['plan', 'a'], () => Promise.reject(new TypeError('x is undefined')))
  await background.attempt(['plan', 'b'], () => Promise.reject(answeredError(255, 'fault n-1/7')))
  await background.attempt(['plan', 'c'], () => Promise.reject(new MayflyError('UNAVAILABLE', 'disk full')))
  expect(lines.map(({ level }) => level)).toEqual([50, 40, 40])
  expect(lines[0]).toMatchObject({
    task: 'plan',
    of: 'a',
    err: { stack: expect.stringContaining('TypeError') },
  })
  expect(background.report()).toEqual([{ task: 'plan', failures: 3, failing: 3, reason: 'disk full' }])
})

test('a task that repeats goes on while it fails, more seldom, and stops when it is told to', async () => {
  const { background } = start()
  let runs = 0
  const timer = background.every(1, ['sweep', ''], () => {
    runs++
    throw new Error('not yet')
  })
  await sleep(600)
  expect(runs).toBeGreaterThanOrEqual(2)
  expect(runs).toBeLessThan(10)
  timer.cancel()
  const before = runs
  await sleep(300)
  expect(runs).toBe(before)
})

test('only an assertion about own state must end a process, also where it came through other errors', () => {
  const broken = (): never => {
    assert(false, 'this is not so')
    throw new Error('not reached')
  }
  expect(broken).toThrow(AssertionError)
  const assertion = new AssertionError('this is not so')
  for (const error of [
    assertion,
    asMayflyError(assertion),
    new MayflyError('UNAVAILABLE', 'x', { cause: assertion }),
  ])
    expect(mustEndProcess(error)).toBe(true)
  for (const failure of failures) expect(mustEndProcess(failure)).toBe(false)
})
