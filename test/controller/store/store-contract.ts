import { describe, expect, type TestContext, test } from 'vitest'
import type { Job } from '../../../controller/records/job.ts'
import type { KeyRecord } from '../../../controller/records/key-record.ts'
import type { NodeRecord } from '../../../controller/records/node.ts'
import type { Store } from '../../../controller/store/store.ts'

const job: Job = {
  id: 'j-a',
  name: 'naïve ✓',
  owner: 'default',
  state: 'registering',
  hints: { capacityBytes: 5 },
  demand: {
    latencyClass: 'ram',
    ramBytes: 6,
    ssdBytes: 7,
    s3Bytes: 8,
    bytesPerSecond: 9,
    s3PricePerHour: 0.5,
    readsPerObject: null,
  },
  reasons: {
    latencyClass: { ground: 'default', because: 'no hint: RAM first' },
    bytes: { ground: 'hint', because: 'hint capacityBytes 5' },
    bytesPerSecond: { ground: 'table', because: 'as the capacity' },
    mixes: [],
  },
  shares: [{ node: 'n-a', ramBytes: 6, ssdBytes: 7, s3Bytes: 8, bytesPerSecond: 9 }],
  metadata: 'm-1',
  movingTo: null,
  formerServers: [],
  leaseSeconds: 600,
  createdAtMs: 1,
  usedAtMs: 2,
  peak: { bytes: 3, bytesPerSecond: 4 },
  endedAtMs: null,
  endReason: null,
}

const node: NodeRecord = {
  id: 'n-a',
  class: 'local',
  state: 'starting',
  pid: null,
  address: null,
  serves: ['ram'],
  startedAtMs: 1,
  lostAtMs: null,
}

/** The state of a controller for one test. */
export interface PreparedStore {
  /** Opens the same state each time. */
  open(): Promise<Store>
  /** From now on the database refuses every new job, as it does when its disk is full; then no longer. */
  refuseJobs(): Promise<void>
  allowJobs(): Promise<void>
}

/** The contract of every store. */
export function storeContract(name: string, prepare: (test: TestContext) => Promise<PreparedStore>): void {
  describe(`the ${name} store`, () => {
    test('is empty at first', async (context) => {
      const store = await (await prepare(context)).open()
      expect(await store.load()).toEqual({ jobs: [], nodes: [], keys: [], runs: [], apiKeys: [] })
      await store.close()
    })

    test('writes a node that drains and the jobs that leave it together', async (context) => {
      const { open } = await prepare(context)
      const before = await open()
      await before.createJob(job, null)
      const left = {
        ...job,
        shares: [{ node: 'n-b', ramBytes: 6, ssdBytes: 7, s3Bytes: 8, bytesPerSecond: 9 }],
      }
      await before.putDraining({ ...node, state: 'draining' }, [left])
      await before.close()
      const after = await open()
      expect(await after.load()).toEqual({
        jobs: [left],
        nodes: [{ ...node, state: 'draining' }],
        keys: [],
        runs: [],
        apiKeys: [],
      })
      await after.close()
    })

    test('has what was written after it is opened again', async (context) => {
      const { open } = await prepare(context)
      const before = await open()
      const key = { owner: 'default', key: 'k', bodyHash: 'h', job: job.id }
      await before.createJob(job, key)
      await before.putNode(node)
      await before.close()
      const after = await open()
      expect(await after.load()).toEqual({ jobs: [job], nodes: [node], keys: [key], runs: [], apiKeys: [] })
      await after.close()
    })

    test('keeps the last write of each job and node', async (context) => {
      const store = await (await prepare(context)).open()
      const other = { ...job, id: 'j-b' }
      await store.createJob(job, null)
      await store.putJobs([{ ...job, state: 'active' }, other])
      await store.putNode(node)
      await store.putNode({ ...node, state: 'active', pid: 5, address: 'a:1' })
      const { jobs, nodes } = await store.load()
      expect(jobs).toEqual([{ ...job, state: 'active' }, other])
      expect(nodes).toEqual([{ ...node, state: 'active', pid: 5, address: 'a:1' }])
      await store.close()
    })

    test('writes a job and its key both or neither', async (context) => {
      const store = await (await prepare(context)).open()
      await store.createJob(job, { owner: 'default', key: 'k', bodyHash: 'h', job: job.id })
      const second = store.createJob(
        { ...job, id: 'j-b' },
        { owner: 'default', key: 'k', bodyHash: 'x', job: 'j-b' },
      )
      await expect(second).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect((await store.load()).jobs).toEqual([job])
      await store.close()
    })

    test('writes the end of a job, its run and the runs that make room for it together', async (context) => {
      const store = await (await prepare(context)).open()
      const ended = { ...job, state: 'ended' as const, shares: [] }
      const run = (id: string) => ({
        job: id,
        name: 'a',
        endedAtMs: 5,
        peak: { bytes: 1, bytesPerSecond: 2 },
        reads: { perObject: 1.5, variance: null },
      })
      await store.createJob(job, null)
      await store.endJob(ended, { run: run('j-a'), forgotten: [], pruned: [] })
      expect(await store.load()).toEqual({
        jobs: [ended],
        nodes: [],
        keys: [],
        runs: [run('j-a')],
        apiKeys: [],
      })
      await store.endJob({ ...ended, id: 'j-b' }, { run: run('j-b'), forgotten: [run('j-a')], pruned: [] })
      expect((await store.load()).runs).toEqual([run('j-b')])
      await store.endJob({ ...ended, id: 'j-c' }, { run: null, forgotten: [], pruned: [] })
      expect((await store.load()).runs).toEqual([run('j-b')])
      await store.endJob({ ...ended, id: 'j-d' }, { run: null, forgotten: [], pruned: ['j-b', 'j-c'] })
      const { jobs, runs } = await store.load()
      expect(jobs.map(({ id }) => id)).toEqual(['j-a', 'j-d'])
      expect(runs).toEqual([run('j-b')])
      await store.close()
    })

    test('forgets the key with the job, or alone', async (context) => {
      const store = await (await prepare(context)).open()
      const other = { ...job, id: 'j-b' }
      await store.createJob(job, { owner: 'default', key: 'a', bodyHash: 'h', job: 'j-a' })
      await store.createJob(other, { owner: 'default', key: 'b', bodyHash: 'h', job: 'j-b' })
      const ended = { ...job, id: 'j-c', state: 'ended' as const }
      await store.endJob(ended, { run: null, forgotten: [], pruned: ['j-a', 'j-unknown'] })
      await store.deleteKeyOf('j-b')
      expect(await store.load()).toEqual({ jobs: [other, ended], nodes: [], keys: [], runs: [], apiKeys: [] })
      await store.close()
    })

    test('keeps the same key of two owners apart', async (context) => {
      const store = await (await prepare(context)).open()
      const other = { ...job, id: 'j-b', owner: 'ci' }
      const keys = [
        { owner: 'ci', key: 'k', bodyHash: 'h', job: 'j-b' },
        { owner: 'default', key: 'k', bodyHash: 'h', job: 'j-a' },
      ]
      await store.createJob(other, keys[0] ?? null)
      await store.createJob(job, keys[1] ?? null)
      expect((await store.load()).keys).toEqual(keys)
      await store.close()
    })

    test('has the API keys that were made, as they were written last', async (context) => {
      const { open } = await prepare(context)
      const before = await open()
      const key: KeyRecord = {
        name: 'ci',
        role: 'driver',
        digest: 'ab',
        previous: null,
        limits: { jobs: 1 },
        createdAtMs: 1,
        rotatedAtMs: null,
      }
      await before.putApiKey(key)
      await before.putApiKey({ ...key, name: 'gone' })
      await before.putApiKey({ ...key, digest: 'cd' })
      await before.deleteApiKey('gone')
      await before.close()
      const after = await open()
      expect((await after.load()).apiKeys).toEqual([{ ...key, digest: 'cd' }])
      await after.close()
    })

    test('forgets nodes', async (context) => {
      const store = await (await prepare(context)).open()
      await store.putNode(node)
      await store.deleteNode(node.id)
      await store.deleteNode('n-unknown')
      expect((await store.load()).nodes).toEqual([])
      await store.close()
    })

    test('a refused write changes nothing, and the next one is taken', async (context) => {
      const state = await prepare(context)
      const store = await state.open()
      await store.createJob(job, null)
      await state.refuseJobs()
      const key = { owner: 'default', key: 'k', bodyHash: 'h', job: 'j-b' }
      const refused = store.createJob({ ...job, id: 'j-b' }, key)
      await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect(await store.load()).toMatchObject({ jobs: [job], keys: [] })
      await state.allowJobs()
      await store.createJob({ ...job, id: 'j-b' }, key)
      expect(await store.load()).toMatchObject({ jobs: [job, { id: 'j-b' }], keys: [key] })
      await store.close()
    })

    test('stores changes of one job in the order of the calls', async (context) => {
      const store = await (await prepare(context)).open()
      await store.createJob(job, null)
      const changes = Array.from({ length: 50 }, (_, index) => ({ ...job, usedAtMs: index }))
      await Promise.all(changes.map((changed) => store.putJobs([changed])))
      expect((await store.load()).jobs).toEqual([changes.at(-1)])
      await store.close()
    })

    test('translates the errors of its driver', async (context) => {
      const store = await (await prepare(context)).open()
      await store.close()
      await expect(store.putNode(node)).rejects.toMatchObject({ name: 'MayflyError', code: 'UNAVAILABLE' })
    })
  })
}
