import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Ledger } from '../../../controller/ledger/ledger.ts'
import { ENDED_JOBS_RETAINED_MAX } from '../../../controller/limits.ts'
import type { Job } from '../../../controller/records/job.ts'
import { SqliteStore } from '../../../controller/store/sqlite-store.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { refusingRows } from '../../fixture/sqlite.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

const ended = (number: number): Job =>
  ({
    id: `j-${number}`,
    name: 'n',
    owner: 'default',
    state: 'ended',
    hints: {},
    shares: [],
    metadata: 'm-1',
    peak: { bytes: 0, bytesPerSecond: 0 },
    // In reverse, so that the order of their ends is not that of their registrations.
    createdAtMs: 10_000 - number,
    usedAtMs: number,
    endedAtMs: number,
    endReason: 'deregistered',
  }) as unknown as Job
const active = (number: number): Job => ({ ...ended(number), state: 'active', endedAtMs: null })
const keyOf = (job: string) => ({ owner: 'default', key: job, bodyHash: 'h', job })

/** A ledger with as many ended jobs as are retained. */
async function start() {
  const path = join(await tempDir(), 'controller.sqlite')
  const store = new SqliteStore(path)
  const jobs = Array.from({ length: ENDED_JOBS_RETAINED_MAX }, (_, number) => ended(number))
  await Promise.all(jobs.map((job) => store.createJob(job, keyOf(job.id))))
  const ledger = new Ledger(store, systemRuntime.clock)
  ledger.restore(await store.load())
  const create = (number: number) => ledger.create(active(number), keyOf(`j-${number}`))
  return { path, store, ledger, create }
}

test('jobs that end at once each push out one job, the one that ended first, with its key', async () => {
  const { store, ledger, create } = await start()
  const numbers = [2_000, 2_001, 2_002]
  await Promise.all(numbers.map(create))
  await Promise.all(numbers.map((number) => ledger.end(`j-${number}`)))
  const { jobs, keys } = await store.load()
  expect(jobs).toHaveLength(ENDED_JOBS_RETAINED_MAX)
  expect(keys).toHaveLength(ENDED_JOBS_RETAINED_MAX)
  for (const gone of ['j-0', 'j-1', 'j-2']) {
    expect(ledger.get(gone)).toBeUndefined()
    expect(ledger.keyed({ owner: 'default', key: gone })).toBeUndefined()
    expect(jobs.map(({ id }) => id)).not.toContain(gone)
  }
  expect(ledger.get('j-3')).toBeDefined()
  await store.close()
})

test('an end that cannot be stored pushes out nothing, and the next one the job that ended first', async () => {
  const { path, store, ledger, create } = await start()
  await create(2_000)
  const disk = refusingRows(path, 'jobs')
  await disk.refuse()
  await expect(ledger.end('j-2000')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(ledger.require('j-2000').state).toBe('active')
  expect(ledger.get('j-0')).toBeDefined()
  await disk.allow()
  await ledger.end('j-2000')
  expect(ledger.get('j-0')).toBeUndefined()
  expect(ledger.get('j-1')).toBeDefined()
  const ids = (await store.load()).jobs.map(({ id }) => id)
  expect(ids).toHaveLength(ENDED_JOBS_RETAINED_MAX)
  expect(ids).not.toContain('j-0')
  await store.close()
})

test('living jobs are counted by the metadata server that decides about them', async () => {
  const { path, store, ledger, create } = await start()
  await Promise.all([2_000, 2_001, 2_002].map(create))
  await ledger.change('j-2001', { metadata: 'm-2' })
  const counts = () => ['m-1', 'm-2', 'm-3'].map((server) => ledger.livingOn(server))
  expect(counts()).toEqual([2, 1, 0])
  await ledger.end('j-2000')
  expect(counts()).toEqual([1, 1, 0])
  const disk = refusingRows(path, 'jobs')
  await disk.refuse()
  await expect(ledger.end('j-2002')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await expect(ledger.change('j-2002', { metadata: 'm-3' })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await expect(create(2_003)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(counts()).toEqual([1, 1, 0])
  const again = new Ledger(store, systemRuntime.clock)
  again.restore(await store.load())
  expect(['m-1', 'm-2'].map((server) => again.livingOn(server))).toEqual([1, 1])
  await store.close()
})

test('a released key is free for another job', async () => {
  const { store, ledger, create } = await start()
  await create(2_000)
  await ledger.releaseKey('j-2000')
  expect(ledger.keyed({ owner: 'default', key: 'j-2000' })).toBeUndefined()
  await ledger.create(active(2_001), { ...keyOf('j-2000'), job: 'j-2001' })
  expect(ledger.keyed({ owner: 'default', key: 'j-2000' })?.job).toBe('j-2001')
  await store.close()
})
