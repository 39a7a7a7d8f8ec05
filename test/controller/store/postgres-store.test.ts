import { expect, onTestFinished, test } from 'vitest'
import type { Job } from '../../../controller/records/job.ts'
import { controllerSchema, PostgresStore } from '../../../controller/store/postgres-store.ts'
import { type Runtime, systemRuntime } from '../../../protocol/runtime.ts'
import { migrate } from '../../../service/postgres/migrations.ts'
import { leadOf } from '../../fixture/lead.ts'
import { startLosing } from '../../fixture/losing-proxy.ts'
import { ask, refusing, sharedPostgres } from '../../fixture/postgres.ts'
import { storeContract } from './store-contract.ts'

const database = sharedPostgres()

async function open(url: string, runtime: Runtime = systemRuntime): Promise<PostgresStore> {
  await migrate(url, controllerSchema)
  return new PostgresStore(await leadOf(url, { role: 'controller', runtime }))
}

storeContract('PostgreSQL', async (context) => {
  const { url } = await database(context)
  const full = refusing(url, 'controller_jobs')
  return { open: () => open(url), refuseJobs: full.refuse, allowJobs: full.allow }
})

const job = { id: 'j-a', usedAtMs: 0 } as Job

test('a job whose stored answer is lost is registered once, with its key', async (context) => {
  const { url, server } = await database(context)
  const proxy = await startLosing(`127.0.0.1:${server.port}`)
  const store = await open(url.replace(`127.0.0.1:${server.port}`, proxy.address))
  await store.putJobs([{ ...job, id: 'j-first' }])
  proxy.loseAnswer()
  const key = { owner: 'default', key: 'k', bodyHash: 'h', job: job.id }
  await store.createJob(job, key)
  expect(await store.load()).toMatchObject({ jobs: [job, { id: 'j-first' }], keys: [key] })
})

for (const aheadMs of [3_600_000, -3_600_000])
  test(`a job was used as long ago as it was for a leader whose clock is ${aheadMs} ms ahead`, async (context) => {
    const { url } = await database(context)
    const { clock, random } = systemRuntime
    const ahead = { random, clock: { ...clock, wallMs: () => clock.wallMs() + aheadMs } }
    const usedAtMs = clock.wallMs() - 5_000
    const first = await open(url)
    await first.putJobs([{ ...job, usedAtMs }])
    await first.close()
    const second = await open(url, ahead)
    const [loaded] = (await second.load()).jobs
    expect(Math.abs((loaded?.usedAtMs ?? 0) - usedAtMs - aheadMs)).toBeLessThan(2_000)
    await second.putJobs([{ ...job, usedAtMs: usedAtMs + aheadMs }])
    await second.close()
    const [back] = (await (await open(url)).load()).jobs
    expect(Math.abs((back?.usedAtMs ?? 0) - usedAtMs)).toBeLessThan(2_000)
  })

test('writes that wait behind a failed one are undone before it', async (context) => {
  const { url } = await database(context)
  const store = await open(url)
  await refusing(url, 'controller_jobs').refuse()
  const rejected: string[] = []
  const put = (id: string) => store.putJobs([{ ...job, id }]).catch(() => rejected.push(id))
  await Promise.all([put('first'), put('second'), put('third')])
  expect(rejected).toEqual(['third', 'second', 'first'])
})

test('what waits is one statement, up to a second change of the same row', async (context) => {
  const { url } = await database(context)
  const store = await open(url)
  const key = { owner: 'default', key: 'k', bodyHash: 'h', job: 'c' }
  const run = { job: 'd', name: 'n', endedAtMs: 5, peak: { bytes: 1, bytesPerSecond: 2 }, reads: null }
  await Promise.all([
    store.putJobs([{ ...job, id: 'a' }]),
    store.putJobs([{ ...job, id: 'b' }]),
    store.createJob({ ...job, id: 'c' }, key),
    store.putJobs([{ ...job, id: 'b', name: 'later' }]),
    store.endJob({ ...job, id: 'd' }, { run, forgotten: [], pruned: ['a'] }),
    store.deleteKeyOf('other'),
    store.putJobs([{ ...job, id: 'e' }]),
  ])
  const rows = await ask(
    url,
    'SELECT id, xmin::text::int AS xact FROM controller_jobs ORDER BY xmin::text::int, id',
  )
  expect(rows.map(({ id }) => id)).toEqual(['c', 'b', 'd', 'e'])
  const [c, b, d, e] = rows.map(({ xact }) => Number(xact)) as [number, number, number, number]
  expect([b > c, d - b, e > d]).toEqual([true, 0, true])
  expect(await ask(url, 'SELECT xmin::text::int AS xact FROM controller_keys')).toEqual([{ xact: c }])
  const { jobs, keys, runs } = await store.load()
  expect(jobs.find(({ id }) => id === 'b')?.name).toBe('later')
  expect([keys, runs]).toEqual([[key], [run]])
  await store.close()
})

test('of writes that share a statement which is refused, the last one is undone first', async (context) => {
  const { url } = await database(context)
  const store = await open(url)
  const full = refusing(url, 'controller_runs')
  await full.refuse()
  const outcomes: string[] = []
  const note = (id: string, writing: Promise<void>) =>
    writing.then(
      () => outcomes.push(`stored ${id}`),
      () => outcomes.push(`refused ${id}`),
    )
  const run = { job: 'c', name: 'n', endedAtMs: 5, peak: { bytes: 1, bytesPerSecond: 2 }, reads: null }
  await Promise.all([
    note('a', store.putJobs([{ ...job, id: 'a' }])),
    note('b', store.putJobs([{ ...job, id: 'b' }])),
    note('c', store.endJob({ ...job, id: 'c' }, { run, forgotten: [], pruned: [] })),
    note('d', store.putJobs([{ ...job, id: 'd' }])),
  ])
  expect(outcomes).toEqual(['stored a', 'refused d', 'refused c', 'refused b'])
  expect((await store.load()).jobs.map(({ id }) => id)).toEqual(['a'])
  await store.close()
})

test('a decision whose outcome stays unknown ends the lead, so that the next leader reads what was stored', async (context) => {
  const { url, server } = await database(context)
  await migrate(url, controllerSchema)
  const lead = await leadOf(url, { role: 'controller', toleratedMs: 60_000 })
  // A node follows it, so that the lead does not expire before.
  lead.nominate([{ id: 'n-1', address: 'n-1:1' }])
  await expect.poll(async () => (await ask(url, 'SELECT voters FROM leaders'))[0]?.voters).toHaveLength(1)
  const votes = setInterval(() => lead.voted(new Set(['n-1']), performance.now()), 500)
  onTestFinished(() => clearInterval(votes))
  const store = new PostgresStore(lead)
  await store.putJobs([job])
  const holding = await holdTable(url)
  const writing = store.putJobs([{ ...job, name: 'b' }])
  await holding.untilWaiting()
  await server.halt()
  await expect(writing).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await lead.lost).toMatch('did not say whether')
  await server.resume()
  expect(await ask(url, 'SELECT document FROM controller_jobs')).toHaveLength(1)
})

/** Locks the jobs, so that a write is under way until the connection ends. */
async function holdTable(url: string) {
  const { Client } = await import('pg')
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('BEGIN')
  await client.query('LOCK TABLE controller_jobs IN ACCESS EXCLUSIVE MODE')
  return {
    untilWaiting: () =>
      expect
        .poll(() => ask(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        .toHaveLength(1),
  }
}
