import { expect, test } from 'vitest'
import { Cluster } from '../fixture/mayfly-up.ts'
import { startOwnTime } from '../fixture/own-time.ts'

const keys = Array.from({ length: 40 }, (_, i) => `k/${i}`)

async function codeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  )
}

test('after SIGKILL of a node its objects are OBJECT_LOST within 2 s, puts work again, and nothing hangs', async () => {
  const cluster = await Cluster.start()
  const job = await (await cluster.connect()).registerJob('lossy', { capacityBytes: 1_500_000_000 })
  await Promise.all(keys.map((key) => job.put(key, key)))
  const victims = (await cluster.nodes()).filter(({ state }) => state === 'active')
  expect(victims.length).toBeGreaterThanOrEqual(2)
  const ownMs = startOwnTime()
  process.kill((victims[0] as { pid: number }).pid, 'SIGKILL')
  const codes = await Promise.all(keys.map((key) => codeOf(job.get(key))))
  expect(ownMs()).toBeLessThan(2_000)
  expect(new Set(codes)).toEqual(new Set(['ok', 'OBJECT_LOST']))
  await Promise.all(keys.map((key) => job.put(key, 'again')))
  for (const key of keys) expect((await job.get(key)).toString()).toBe('again')
  await job.deregister()
})

test('the only node of a job dies: another is started, and the job carries on', async () => {
  const cluster = await Cluster.start()
  const job = await (await cluster.connect()).registerJob('one-node', { capacityBytes: 10_000_000 })
  await job.put('k', 'x')
  const [node] = (await cluster.nodes()).filter((candidate) => (candidate.tiers.ram?.reservedBytes ?? 0) > 0)
  const ownMs = startOwnTime()
  process.kill(node?.pid as number, 'SIGKILL')
  expect(await codeOf(job.get('k'))).toBe('OBJECT_LOST')
  expect(ownMs()).toBeLessThan(2_000)
  await job.put('k', 'y')
  expect((await job.get('k')).toString()).toBe('y')
  await job.deregister()
})
