import { beforeEach, expect, type TestContext, test, vi } from 'vitest'
import { isLeader } from '../../../service/postgres/fence.ts'
import { takeLead } from '../../../service/postgres/leadership.ts'
import { DATABASE_WRITE_MS_MAX, LEAD_MS } from '../../../service/postgres/limits.ts'
import { sql } from '../../../service/postgres/sql.ts'
import { startCuttableProxy } from '../../fixture/cuttable-proxy.ts'
import { leadOf, leadOptions } from '../../fixture/lead.ts'
import { startLosing } from '../../fixture/losing-proxy.ts'
import { pausableRuntime } from '../../fixture/paused-runtime.ts'
import { ask, sharedPostgres, type TestDatabase } from '../../fixture/postgres.ts'

const database = sharedPostgres()
let state: TestDatabase

beforeEach(async (context) => {
  state = await database(context as TestContext)
  await ask(state.url, 'CREATE TABLE notes (id text PRIMARY KEY, text text NOT NULL)')
})

const put = (id: string, text: string) =>
  sql`INSERT INTO notes SELECT ${id}::text, ${text}::text WHERE ${isLeader}
    ON CONFLICT (id) DO UPDATE SET text = excluded.text`

const notes = () => ask(state.url, 'SELECT id, text FROM notes ORDER BY id')

/** The database's URL, at another port. */
const at = (port: number) => state.url.replace(`:${state.server.port}/`, `:${port}/`)

test('one process leads, and another one does within a second of its release, with the next term', async () => {
  const first = await leadOf(state.url)
  const taking = leadOf(state.url)
  await first.write([put('a', '1')])
  const releasedMs = performance.now()
  await first.release()
  const second = await taking
  expect(performance.now() - releasedMs).toBeLessThan(1_000)
  expect([first.term, second.term]).toEqual([1, 2])
  expect(second.formerUntilMs).toBe(Number.NEGATIVE_INFINITY)
  await second.write([put('a', '2')])
  expect(await notes()).toEqual([{ id: 'a', text: '2' }])
})

test('after the death of a leader another one leads within 5 s, and knows that the former one has ended', async () => {
  const dead = pausableRuntime()
  await leadOf(state.url, { runtime: dead.runtime })
  const diedMs = performance.now()
  dead.pause()
  const second = await leadOf(state.url, { toleratedMs: 60_000 })
  expect(performance.now() - diedMs).toBeGreaterThan(LEAD_MS - 1_500)
  expect(performance.now() - diedMs).toBeLessThan(5_000)
  // It had no voters, so it could not go on.
  expect(second.formerUntilMs).toBeLessThanOrEqual(performance.now())
})

test('I28: a leader that was paused past its lead changes nothing, and knows it', async () => {
  const paused = pausableRuntime()
  const first = await leadOf(state.url, { runtime: paused.runtime })
  paused.pause()
  const second = await leadOf(state.url)
  await second.write([put('a', 'second')])
  expect([first.mayAct, first.isRenewed]).toEqual([false, false])
  await expect(first.write([put('a', 'first')])).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await notes()).toEqual([{ id: 'a', text: 'second' }])
  paused.resume()
  expect(await first.lost).toBe('another process leads')
})

test('I29: a leader that is cut off from the database gives up before another one can lead', async () => {
  const proxy = await startCuttableProxy(state.server.port)
  const first = await leadOf(at(proxy.port))
  const lost = first.lost.then(() => performance.now())
  proxy.cut()
  const second = leadOf(state.url).then(() => performance.now())
  expect(await lost).toBeLessThan(await second)
  await expect(first.write([put('a', '1')])).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('a decision waits for a database that restarts', async () => {
  const first = await leadOf(state.url, { toleratedMs: 60_000 })
  await first.write([put('a', '1')])
  await state.server.halt()
  const writing = first.write([put('a', '2')])
  await state.server.resume()
  await writing
  expect(await notes()).toEqual([{ id: 'a', text: '2' }])
})

test('a write whose answer is lost is settled: what came after it stays', async () => {
  const proxy = await startLosing(`127.0.0.1:${state.server.port}`)
  const port = Number(proxy.address.split(':')[1])
  const first = await leadOf(at(port))
  await first.write([put('a', '1')])
  // The renewal has a connection of its own, which may be the one that loses its answer.
  for (let lost = 2; lost < 8; lost++) {
    proxy.loseAnswer()
    await first.write([put('a', String(lost))])
    await first.write([put('b', String(lost))])
    expect(await notes()).toEqual(['a', 'b'].map((id) => ({ id, text: String(lost) })))
  }
})

test('the statement of a leader without an answer changes nothing once another one was written', async () => {
  const first = await leadOf(state.url)
  await first.write([put('a', '1')])
  await ask(state.url, 'UPDATE leaders SET attempt = attempt + 1')
  // As if the answer of a raise had been lost: the next write raises again.
  await first.write([put('a', '2')])
  expect(await ask(state.url, 'SELECT attempt FROM leaders')).toEqual([{ attempt: 2 }])
  expect(await notes()).toEqual([{ id: 'a', text: '2' }])
})

test('a statement that takes too long changes nothing', async () => {
  const first = await leadOf(state.url)
  const slow = sql`INSERT INTO notes SELECT 'slow', pg_sleep(10)::text WHERE ${isLeader}`
  const beganMs = performance.now()
  await expect(first.write([put('a', '1'), slow])).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(performance.now() - beganMs).toBeLessThan(DATABASE_WRITE_MS_MAX)
  expect(await notes()).toEqual([])
  await first.write([put('a', '2')])
  expect(await notes()).toEqual([{ id: 'a', text: '2' }])
})

test('many writes at once are all stored', async () => {
  const first = await leadOf(state.url)
  const ids = Array.from({ length: 200 }, (_, index) => `n-${index}`)
  await Promise.all(ids.map((id) => first.write([put(id, 'x')])))
  expect(await notes()).toHaveLength(ids.length)
})

test('a database that does not let this process in is refused at once, with its reason', async () => {
  const url = state.url.replace(/[^/]*$/, 'missing')
  const taking = takeLead(leadOptions(url))
  await expect(taking).rejects.toThrow('database "missing" does not exist')
})

test('a standby waits for a database that is away', async () => {
  await state.server.halt()
  const options = leadOptions(state.url)
  const warn = vi.spyOn(options.log, 'warn')
  const taking = takeLead(options)
  await expect.poll(() => warn.mock.calls.length).toBe(1)
  await state.server.resume()
  await (await taking).release()
})
