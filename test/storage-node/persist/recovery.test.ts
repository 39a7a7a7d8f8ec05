import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Job } from '../../../client/job.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../../protocol/limits.ts'
import { DEFAULT_BUCKET_ID } from '../../../protocol/model/keys.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { PersistedFolder } from '../../../service/persisted/persisted-folder.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import { locate } from '../../../storage-node/job/locate.ts'
import { Recovery } from '../../../storage-node/persist/recovery.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'
import { open, Planes, type RunningNode } from '../../fixture/planes.ts'

async function start(nodeCount: number) {
  const planes = await Planes.start()
  const nodes: RunningNode[] = []
  for (let count = 0; count < nodeCount; count++) nodes.push(await planes.startNode())
  const job = await open(await planes.createJob('j-a', nodes))
  const die = async (...dead: RunningNode[]): Promise<void> => {
    for (const node of dead) await node.stop()
    await planes.ask(placementOperations.nodesDied, { nodes: dead.map(({ id }) => id) })
  }
  /** The node dies, and all its slots go to a new one. */
  const replace = async (dead: RunningNode): Promise<RunningNode> => {
    const next = await planes.startNode()
    await die(dead)
    const shares = planes.shares([next])
    await planes.ask(placementOperations.jobShares, { job: 'j-a', readsPerThousand: null, shares })
    return next
  }
  const kept = (key: string, bucket = 'default') => planes.persisted.stat({ job: 'j-a', bucket, key })
  return { planes, nodes, job, die, replace, kept }
}

/** Enough objects that every node has some of them. */
function objects(prefix: string): { key: string; bytes: Buffer }[] {
  return Array.from({ length: 24 }, (_, index) => ({
    key: `${prefix}/${index}`,
    bytes: randomBytes(index * 1000),
  }))
}

async function keysOf(job: Job, prefix: string): Promise<string[]> {
  const keys = []
  for await (const { key } of job.list({ prefix, acceptHoles: true })) keys.push(key)
  return keys
}

test('I19: after the death of a node every persisted object is in its job again, and others are lost', async () => {
  const { nodes, job, die } = await start(3)
  const all = objects('kept')
  for (const { key, bytes } of all) {
    await job.put(key, bytes, {
      persist: true,
      ttlSeconds: 600,
      metadata: { name: key, long: 'm'.repeat(3000) },
    })
    await job.put(`plain/${key}`, bytes)
  }
  await die(nodes[0] as RunningNode)
  for (const { key, bytes } of all) {
    expect((await job.get(key)).equals(bytes)).toBe(true)
    const found = await job.stat(key)
    expect(found).toMatchObject({ persist: true, bytes: bytes.length, metadata: { name: key } })
    expect(found?.expiresAt?.getTime()).toBeGreaterThan(Date.now() + 500_000)
  }
  const values = await job.getMany(all.map(({ key }) => key))
  expect(values.map((value) => (value as Buffer).toString('hex'))).toEqual(
    all.map(({ bytes }) => bytes.toString('hex')),
  )
  expect((await keysOf(job, 'kept/')).toSorted()).toEqual(all.map(({ key }) => key).toSorted())
  expect((await keysOf(job, 'plain/')).length).toBeLessThan(all.length)
  const outcomes = await Promise.allSettled(all.map(({ key }) => job.get(`plain/${key}`)))
  const lost = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
  expect(new Set(lost)).toEqual(new Set(['OBJECT_LOST']))
})

test('a persisted object that came back is replaced, deleted, consumed and guarded as any other', async () => {
  const { nodes, job, replace, kept } = await start(1)
  for (const key of ['put', 'delete', 'consume', 'large', 'append', 'absent', 'version', 'empty'])
    await job.put(key, key === 'empty' ? '' : key.repeat(key === 'large' ? CHUNK_BYTES : 1), {
      persist: true,
    })
  await replace(nodes[0] as RunningNode)
  await job.put('put', 'new')
  expect([await kept('put'), (await job.get('put')).toString()]).toEqual([null, 'new'])
  expect([await job.delete('delete'), await kept('delete')]).toEqual([true, null])
  expect([(await job.get('consume', { consume: true })).toString(), await kept('consume')]).toEqual([
    'consume',
    null,
  ])
  const large = await job.get('large', { consume: true })
  expect([large.equals(Buffer.from('large'.repeat(CHUNK_BYTES))), await kept('large')]).toEqual([true, null])
  await expect(job.get('large')).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  await expect(job.append('append', 'more')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await expect(job.put('absent', 'x', { ifAbsent: true })).rejects.toMatchObject({ code: 'KEY_EXISTS' })
  const { version = 0 } = (await job.stat('version')) ?? {}
  await job.put('version', 'next', { ifVersion: version, persist: true })
  expect((await job.get('version')).toString()).toBe('next')
  expect((await job.get('empty')).length).toBe(0)
  expect((await job.get('append', { range: { start: 2, end: 4 } })).toString()).toBe('pe')
})

test('a large persisted object of which chunks are lost is whole again, also where its key is not', async () => {
  const { nodes, job, die } = await start(3)
  const all = Array.from({ length: 4 }, (_, index) => ({ key: `${index}`, bytes: randomBytes(3_500_000) }))
  for (const { key, bytes } of all) await job.put(key, bytes, { persist: true })
  await die(nodes[2] as RunningNode)
  for (const { key, bytes } of all) {
    expect((await job.get(key)).equals(bytes)).toBe(true)
    const range = { start: 1_000_000, end: 2_500_000 }
    expect((await job.get(key, { range })).equals(bytes.subarray(range.start, range.end))).toBe(true)
    expect((await job.get(key, { consume: true })).equals(bytes)).toBe(true)
  }
  expect(await keysOf(job, '')).toEqual([])
})

test('bytes of persisted objects that were on their way from a node that died come from the persistent store', async () => {
  const { planes, nodes, job, die } = await start(1)
  const [source] = nodes as [RunningNode]
  const all = [...objects('kept'), { key: 'large', bytes: randomBytes(2 * CHUNK_BYTES + 1) }]
  for (const { key, bytes } of all) await job.put(key, bytes, { persist: true })
  const versions = await Promise.all(all.map(async ({ key }) => (await job.stat(key))?.version))
  await job.put('plain', 'goes')
  const away = () => Promise.reject(new MayflyError('UNAVAILABLE', 'The node does not answer'))
  Object.assign(source.node.source, { pull: away })
  const target = await planes.startNode()
  const shares = planes.shares([target])
  await planes.ask(placementOperations.jobShares, { job: 'j-a', readsPerThousand: null, shares })
  const isServed = () => {
    const owned = target.node.jobs.get('j-a')?.owned
    return (
      owned !== undefined && Array.from({ length: owned.count }, (_, slot) => owned.owns(slot)).every(Boolean)
    )
  }
  await expect.poll(isServed).toBe(true)
  await die(source)
  for (const { key, bytes } of all) expect((await job.get(key)).equals(bytes)).toBe(true)
  expect(await Promise.all(all.map(async ({ key }) => (await job.stat(key))?.version))).toEqual(versions)
  await expect(job.get('plain')).rejects.toMatchObject({ code: 'OBJECT_LOST' })
})

test('what is kept comes back as often as its node dies; what was deleted with its bucket does not, and is removed', async () => {
  const { planes, nodes, job, replace, kept } = await start(1)
  for (const bucket of ['gone', 'for-good']) {
    await job.createBucket(bucket)
    await job.put('k', 'old', { bucket, persist: true })
  }
  await job.put('k', 'stays', { persist: true })
  // The store still has the bucket's objects, as after a node's death during the deletion of the bucket.
  const { remove } = planes.persisted
  Object.assign(planes.persisted, { remove: async () => true })
  for (const bucket of ['gone', 'for-good']) await job.deleteBucket(bucket)
  Object.assign(planes.persisted, { remove: remove.bind(planes.persisted) })
  for (const bucket of ['gone', 'for-good']) expect(await kept('k', bucket)).not.toBeNull()
  await job.createBucket('gone')
  let [node] = nodes as [RunningNode]
  for (let round = 0; round < 2; round++) {
    node = await replace(node)
    expect((await job.get('k')).toString()).toBe('stays')
    await expect(job.get('k', { bucket: 'gone' })).rejects.toMatchObject({ code: 'OBJECT_LOST' })
    for (const bucket of ['gone', 'for-good']) expect(await kept('k', bucket)).toBeNull()
  }
})

test('a persistent store that stays silent is not waited for any longer than it may be, and what went before counts', async () => {
  const clock = new VirtualClock()
  const runtime = { clock, random: { fraction: () => 0.5, bytes: (count: number) => Buffer.alloc(count) } }
  const warnings: string[] = []
  const store = new PersistedFolder('', clock)
  const away = () => Promise.reject(new MayflyError('UNAVAILABLE', 'The store is away'))
  Object.assign(store, { list: away })
  const comeback = new Recovery({
    store,
    runtime,
    bucketIds: async () => new Map(),
    warn: (what) => warnings.push(what),
  })
  const looking = comeback.find({ id: 'j-a', owned: { count: 1 } } as unknown as NodeJob, {
    epoch: 3,
    slots: new Set([0]),
  })
  let answer: unknown = null
  void looking.then((found) => (answer = found))
  for (let ms = 0; ms < 9_000; ms += 100) await clock.advance(100)
  expect([answer, warnings]).toEqual([null, []])
  for (let ms = 0; ms < 3_000; ms += 100) await clock.advance(100)
  expect([answer, warnings.length]).toEqual([[], 1])
})

test('chunks of an object that only the kept store has are read side by side', async () => {
  const { planes, nodes, job, replace } = await start(1)
  const bytes = randomBytes(8 * CHUNK_BYTES)
  await job.put('large', bytes, { persist: true })
  await replace(nodes[0] as RunningNode)
  const { get } = planes.persisted
  let now = 0
  let most = 0
  Object.assign(planes.persisted, {
    get: async (...of: Parameters<typeof get>) => {
      most = Math.max(most, ++now)
      // The store is slow: all that are asked for at once arrive here before the first is answered.
      await new Promise((resolve) => setTimeout(resolve, 200))
      now--
      return await get.apply(planes.persisted, of)
    },
  })
  expect((await job.get('large')).equals(bytes)).toBe(true)
  expect(most).toBeGreaterThan(2)
})

test('a chunk that is asked for again while it is read from the persistent store is read once', async () => {
  const { planes, nodes, job, replace } = await start(1)
  await job.put('k', 'value', { persist: true })
  const { node } = await replace(nodes[0] as RunningNode)
  await expect.poll(() => job.exists('k')).toBe(true)
  const held = node.requireJob('j-a')
  const address = { bucket: DEFAULT_BUCKET_ID, key: Buffer.from('k') }
  const place = locate(held, address)
  const chunk = { ...address, version: place.slot.find(place)?.version ?? 0, index: 0 }
  const { persisted } = planes
  const get = persisted.get.bind(persisted)
  let reads = 0
  let goOn = (): void => undefined
  const isOpen = new Promise<void>((resolve) => {
    goOn = resolve
  })
  Object.assign(persisted, {
    get: async (...of: Parameters<typeof get>) => {
      reads++
      await isOpen
      return await get(...of)
    },
  })
  // As a node does whose call has timed out.
  const asked = [node.persistedChunks.read(held, chunk), node.persistedChunks.read(held, chunk)]
  goOn()
  expect((await Promise.all(asked)).map(String)).toEqual(['value', 'value'])
  expect(reads).toBe(1)
})
