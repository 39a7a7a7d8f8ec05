import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Job } from '../../client/job.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { open, Planes, type RunningNode } from '../fixture/planes.ts'

const MIB = 2 ** 20

async function openOn(count: number, options = {}) {
  const planes = await Planes.start()
  const nodes: RunningNode[] = []
  for (let index = 0; index < count; index++) nodes.push(await planes.startNode())
  const ticket = await planes.createJob('j-1', nodes, options)
  return { planes, nodes, ticket, job: await open(ticket) }
}

/** Asserts that `statMany` tells what `stat` tells. Returns the stats. */
async function expectAsStat(job: Job, keys: readonly string[], options = {}) {
  const stats = await job.statMany(keys, options)
  expect(stats).toEqual(await Promise.all(keys.map((key) => job.stat(key, options))))
  return stats
}

/** Moves the job to the last of the nodes. */
async function moveToLast(planes: Planes, nodes: readonly RunningNode[]): Promise<void> {
  const shares = planes
    .shares(nodes, 256 * MIB)
    .map((share, index) => ({ ...share, weight: index === nodes.length - 1 ? 1 : 0 }))
  await planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares })
}

test('it tells what stat tells, whatever the object is', async () => {
  const { job } = await openOn(2)
  await job.put('plain', 'value')
  await job.put('empty', '')
  await job.put('named', 'v', {
    metadata: { 'content-type': 'text/html', empty: '', größe: '🪰', ['__proto__']: 'x' },
  })
  await job.put('brief', 'v', { ttlSeconds: 600, metadata: { a: 'b' } })
  await job.put('persisted', 'v', { persist: true })
  await job.put('large', Buffer.alloc(3 * MIB + 1), { metadata: { kind: 'frame' } })
  await job.put('large and persisted', Buffer.alloc(2 * MIB), { persist: true })
  await job.append('log', 'one')
  await job.append('log', 'two')
  await job.put('replaced', 'one', { metadata: { of: 'one' } })
  await job.put('replaced', 'two')
  await job.put('deleted', 'v')
  await job.delete('deleted')
  await job.put('consumed', 'v')
  await job.get('consumed', { consume: true })
  await job.put('expired', 'v', { ttlSeconds: 1, metadata: { a: 'b' } })
  await job.createBucket('other')
  await job.put('plain', 'in the other', { bucket: 'other', metadata: { in: 'other' } })
  const there = [
    'plain',
    'empty',
    'named',
    'brief',
    'persisted',
    'large',
    'large and persisted',
    'log',
    'replaced',
  ]
  await sleep(1_100)
  const stats = await expectAsStat(job, [...there, 'deleted', 'consumed', 'expired', 'never'])
  expect(stats.map((stat) => stat?.key ?? null)).toEqual([...there, null, null, null, null])
  expect(stats[2]?.metadata.größe).toBe('🪰')
  expect(stats[4]?.persist).toBe(true)
  expect(stats[5]?.bytes).toBe(3 * MIB + 1)
  const [inOther] = await expectAsStat(job, ['plain', 'log'], { bucket: 'other' })
  expect(inOther?.metadata).toEqual({ in: 'other' })
})

test('of no key it asks nothing, and a key that is named twice is told twice', async () => {
  const { job, nodes } = await openOn(1)
  await job.put('a', 'v', { metadata: { name: 'a' } })
  await nodes[0]?.stop()
  expect(await job.statMany([])).toEqual([])
  const { job: other } = await openOn(2)
  await other.put('a', 'v', { metadata: { name: 'a' } })
  const stats = await expectAsStat(other, ['a', 'none', 'a', 'a', 'none'])
  expect(stats.map((stat) => stat?.metadata.name)).toEqual(['a', undefined, 'a', 'a', undefined])
})

test('ten thousand keys on three nodes come back in their order', async () => {
  const { job } = await openOn(3)
  const keys = Array.from({ length: 10_000 }, (_, index) => `k/${index}`)
  const versions = await job.putMany(
    keys.map((key, index) => ({ key, bytes: Buffer.alloc(index % 7), metadata: { key } })),
  )
  // Every tenth is missing.
  await job.deleteMany(keys.filter((_, index) => index % 10 === 0))
  const stats = await job.statMany(keys)
  expect(stats).toHaveLength(keys.length)
  for (const [index, stat] of stats.entries()) {
    if (index % 10 === 0) expect(stat).toBeNull()
    else
      expect([stat?.key, stat?.bytes, stat?.version, stat?.metadata.key]).toEqual([
        keys[index],
        index % 7,
        versions[index]?.version,
        keys[index],
      ])
  }
})

test('metadata that no message has room for comes in several', async () => {
  const { job } = await openOn(1, { capacityBytes: 32 * MIB })
  const keys = Array.from({ length: 700 }, (_, index) => `k/${index}`)
  await job.putMany(
    keys.map((key, index) => ({ key, bytes: 'v', metadata: { key: `${index}`.padEnd(8_000, 'm') } })),
  )
  const stats = await expectAsStat(job, [...keys, 'none'])
  expect(stats.at(-1)).toBeNull()
  expect(stats.slice(0, -1).every((stat) => stat?.metadata.key?.length === 8_000)).toBe(true)
})

test('a bucket that there is not is BUCKET_NOT_FOUND, and a key that none may be BAD_REQUEST', async () => {
  const { job } = await openOn(1)
  await expect(job.statMany(['a'], { bucket: 'none' })).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' })
  await expect(job.statMany(['a', ''])).rejects.toMatchObject({ code: 'BAD_REQUEST' })
})

test('a client that does not know that slots have moved asks their new owner', async () => {
  const { planes, nodes, ticket } = await openOn(1)
  const late = await open(ticket)
  const job = await open(ticket)
  const keys = Array.from({ length: 300 }, (_, index) => `k/${index}`)
  await job.putMany(keys.map((key) => ({ key, bytes: key, metadata: { key } })))
  const before = await late.statMany(keys)
  const all = [...nodes, await planes.startNode()]
  await moveToLast(planes, all)
  await expect.poll(() => all[0]?.node.report(1).length, { interval: 20 }).toBe(0)
  expect(await late.statMany(keys)).toEqual(before)
})

test('objects whose bytes are still on the node before are told of, and lost with it', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(256 * MIB), await planes.startNode(256 * MIB)] as const
  const job = await open(await planes.createJob('j-1', [nodes[0]], { capacityBytes: 256 * MIB }))
  const keys = Array.from({ length: 150 }, (_, index) => `k/${index}`)
  await Promise.all(keys.map((key) => job.put(key, Buffer.alloc(MIB, 'x'), { metadata: { key } })))
  const before = await job.statMany(keys)
  const remote = (): number =>
    (nodes[1].node.jobs.get('j-1')?.slots ?? []).filter((slot) => slot?.isComplete === false).length
  // From the moment on at which the first bytes are on their way, until none is.
  const moved = moveToLast(planes, nodes)
  await expect.poll(remote, { interval: 1 }).toBeGreaterThan(0)
  expect(await expectAsStat(job, keys)).toEqual(before)
  expect(remote()).toBeGreaterThan(0)
  await nodes[0].stop()
  await moved
  await planes.ask(placementOperations.nodesDied, { nodes: [nodes[0].id] })
  const alone = await Promise.all(
    keys.map((key) => job.stat(key).catch((error: { code: string }) => error.code)),
  )
  for (const [index, stat] of alone.entries()) {
    const many = job.statMany([keys[index] ?? ''])
    if (stat === 'OBJECT_LOST') await expect(many).rejects.toMatchObject({ code: 'OBJECT_LOST' })
    else expect(await many).toEqual([stat])
  }
  expect(new Set(alone.map((stat) => (typeof stat === 'string' ? stat : 'there')))).toContain('OBJECT_LOST')
  await expect(job.statMany(keys)).rejects.toMatchObject({ code: 'OBJECT_LOST' })
})

test('a key whose node has died is OBJECT_LOST, as in stat, until it is put again', async () => {
  const { planes, nodes, job } = await openOn(2)
  const keys = Array.from({ length: 60 }, (_, index) => `k/${index}`)
  await job.putMany(keys.map((key) => ({ key, bytes: key })))
  await nodes[0]?.stop()
  await planes.ask(placementOperations.nodesDied, { nodes: [nodes[0]?.id ?? ''] })
  const codes = await Promise.all(
    keys.map((key) =>
      job.stat(key).then(
        () => 'there',
        (error: { code: string }) => error.code,
      ),
    ),
  )
  const left = keys.filter((_, index) => codes[index] === 'there')
  const lost = keys.filter((_, index) => codes[index] === 'OBJECT_LOST')
  expect(left.length + lost.length).toBe(keys.length)
  expect(lost.length).toBeGreaterThan(0)
  await expectAsStat(job, left)
  await expect(job.statMany(keys)).rejects.toMatchObject({
    code: 'OBJECT_LOST',
    message: expect.stringContaining(lost[0] ?? ''),
  })
  await job.putMany(lost.map((key) => ({ key, bytes: 'again' })))
  await expectAsStat(job, keys)
})
