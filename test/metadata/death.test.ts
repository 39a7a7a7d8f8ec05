import { expect, test } from 'vitest'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { startOwnTime } from '../fixture/own-time.ts'
import { open, Planes } from '../fixture/planes.ts'

const keys = Array.from({ length: 60 }, (_, i) => `k/${i}`)

async function startTwo() {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const job = await open(await planes.createJob('j-1', nodes))
  await Promise.all(keys.map((key) => job.put(key, key)))
  return { planes, nodes, job }
}

test('after proof of death the slots of the dead node answer OBJECT_LOST, the others serve on', async () => {
  const { planes, nodes, job } = await startTwo()
  await nodes[0].stop()
  await planes.ask(placementOperations.nodesDied, { nodes: [nodes[0].id] })
  const results = await Promise.allSettled(keys.map((key) => job.get(key)))
  const lost = results.filter((result) => result.status === 'rejected')
  expect(lost.length).toBeGreaterThan(10)
  expect(lost.length).toBeLessThan(50)
  for (const { reason } of lost) expect(reason).toMatchObject({ code: 'OBJECT_LOST' })
  await expect(async () => {
    for await (const _ of job.list());
  }).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  const left = []
  for await (const { key } of job.list({ acceptHoles: true })) left.push(key)
  expect(left).toHaveLength(keys.length - lost.length)
  await Promise.all(keys.map((key) => job.put(key, 'again')))
  for (const key of keys) expect((await job.get(key)).toString()).toBe('again')
})

test('a get that meets a dead node waits for the proof and is answered by it', async () => {
  const { planes, nodes, job } = await startTwo()
  await nodes[0].stop()
  const results = Promise.allSettled(keys.map((key) => job.get(key)))
  await new Promise((resolve) => setTimeout(resolve, 300))
  await planes.ask(placementOperations.nodesDied, { nodes: [nodes[0].id] })
  const codes = (await results).map((result) => (result.status === 'rejected' ? result.reason.code : 'ok'))
  expect(new Set(codes)).toEqual(new Set(['ok', 'OBJECT_LOST']))
})

test('without any proof of death a call ends at its deadline with UNAVAILABLE', async () => {
  const { nodes, job } = await startTwo()
  await Promise.all(nodes.map((node) => node.stop()))
  const ownMs = startOwnTime()
  await expect(job.get('k/1', { deadlineMs: 700 })).rejects.toMatchObject({
    code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
  })
  expect(ownMs()).toBeLessThan(1500)
})

test('where no node is left the slots wait for new shares, then answer OBJECT_LOST', async () => {
  const { planes, nodes, job } = await startTwo()
  await Promise.all(nodes.map((node) => node.stop()))
  await planes.ask(placementOperations.nodesDied, { nodes: nodes.map(({ id }) => id) })
  const pending = job.get('k/1').catch((error: unknown) => error)
  const fresh = await planes.startNode()
  await planes.ask(placementOperations.jobShares, {
    job: 'j-1',
    readsPerThousand: null,
    shares: planes.shares([fresh]),
  })
  expect(await pending).toMatchObject({ code: 'OBJECT_LOST' })
  await job.put('k/1', 'new')
  expect((await job.get('k/1')).toString()).toBe('new')
})

test('a metadata server that is started again knows its jobs, and running clients carry on', async () => {
  const { planes, nodes, job } = await startTwo()
  await job.createBucket('frames')
  await planes.stopMetadata()
  await job.put('k/1', 'without metadata')
  expect((await job.get('k/1')).toString()).toBe('without metadata')
  await planes.startMetadata()
  expect(await job.buckets()).toEqual(['default', 'frames'])
  const late = await open(await planes.createJob('j-1', nodes))
  expect((await late.get('k/1')).toString()).toBe('without metadata')
  await nodes[0].stop()
  await planes.ask(placementOperations.nodesDied, { nodes: [nodes[0].id] })
  await job.put('k/2', 'two')
  expect((await job.get('k/2')).toString()).toBe('two')
})

test('I11: chunks of an object that was overwritten, deleted or never committed are freed within seconds', async () => {
  const { nodes, job } = await startTwo()
  const used = () => nodes.reduce((sum, { node }) => sum + node.ram.usedBytes, 0)
  const before = used()
  const large = Buffer.alloc(3 * 1024 * 1024)
  await job.put('large', large)
  await job.put('large', large)
  for (let i = 0; i < 8; i++) {
    await job.put(`gone/${i}`, large)
    await job.delete(`gone/${i}`)
  }
  await job.put('eaten', large)
  await job.get('eaten', { consume: true })
  // Chunks on each key's owner were freed with it; about half of the 27 chunks is on the other node.
  expect(used() - before).toBeGreaterThan(10 * 1024 * 1024)
  await expect.poll(() => used() - before).toBeLessThan(8 * 1024 * 1024)
  expect((await job.get('large')).equals(large)).toBe(true)
})
