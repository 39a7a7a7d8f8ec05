import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { NODE_LEASE_MS } from '../../protocol/limits.ts'
import { Cluster, type NodeView } from '../fixture/mayfly-up.ts'

test('a job ends while a node stands still: its bytes are free as soon as the node goes on, and other jobs keep theirs', async () => {
  const cluster = await Cluster.start()
  const mayfly = await cluster.connect()
  const ending = await mayfly.registerJob('ending', { capacityBytes: 50_000_000 })
  const staying = await mayfly.registerJob('staying', { capacityBytes: 50_000_000 })
  onTestFinished(() => staying.close())
  const keys = Array.from({ length: 100 }, (_, index) => `k/${index}`)
  await Promise.all(keys.map((key) => ending.put(key, randomBytes(100_000))))
  await Promise.all(keys.map((key) => staying.put(key, key)))
  const late = await openJob(ending.ticket)
  onTestFinished(() => late.close())
  const [node] = (await cluster.nodesOf(ending)) as [NodeView]
  expect((await cluster.nodesOf(staying)).map(({ id }) => id)).toEqual([node.id])
  await expect.poll(() => usedBytes(cluster, node)).toBeGreaterThan(10_000_000)
  process.kill(node.pid, 'SIGSTOP')
  // The job has ended either way; the answer may not have waited until every node was told.
  await ending.deregister().catch((error: { code: string }) => expect(error.code).toBe('UNAVAILABLE'))
  await sleep(1_000)
  process.kill(node.pid, 'SIGCONT')
  await expect.poll(() => usedBytes(cluster, node), { timeout: NODE_LEASE_MS / 2 }).toBeLessThan(1_000_000)
  await expect(late.get('k/1')).rejects.toMatchObject({ code: 'JOB_ENDED' })
  for (const key of keys) expect((await staying.get(key)).toString()).toBe(key)
  const after = (await cluster.nodes()).find(({ id }) => id === node.id)
  expect(after).toMatchObject({ state: 'active', pid: node.pid })
})

async function usedBytes(cluster: Cluster, { id }: NodeView): Promise<number> {
  return (await cluster.nodes()).find((node) => node.id === id)?.tiers.ram?.usedBytes ?? 0
}
