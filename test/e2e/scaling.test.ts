import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Cluster, isRunning } from '../fixture/mayfly-up.ts'
import { openFunctions } from './support/functions.ts'
import { PacedLoad } from './support/paced-load.ts'

test('load doubles: a node takes a part of it; it falls: a node is drained and its process ends; nothing fails', async () => {
  const cluster = await Cluster.startSmall(
    { ramBytes: 128 * 2 ** 20, nodesMax: 3, bytesPerSecond: 2e7 },
    { warmNodes: 0 },
  )
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('load', { capacityBytes: 48 * 2 ** 20, peakBytesPerSecond: 8e6 })
  const functions = await openFunctions(job.ticket, 4)
  const before = await cluster.nodes()
  expect(before).toHaveLength(1)
  // 130 calls of 64 KiB are 8.5 MB/s, 43 % of the node.
  const load = new PacedLoad(functions, 130)
  await sleep(6_000)
  expect(await cluster.nodes()).toHaveLength(1)
  load.rate = 280
  const out = await cluster.event('class.scaledOut', 'small')
  expect(out).toMatchObject({ resource: 'network', nodes: 1, moves: 1 })
  const [first] = before
  const used = async (): Promise<number[]> =>
    (await cluster.nodes()).filter(({ id }) => id !== first?.id).map(({ tiers }) => tiers.ram?.usedBytes ?? 0)
  await expect.poll(used).toEqual([expect.toSatisfy((bytes) => bytes > 4e6)])
  await sleep(5_000)
  const during = await cluster.nodes()
  expect(during.map(({ state }) => state)).toEqual(['active', 'active'])
  load.rate = 60
  const scaledIn = (await cluster.event('class.scaledIn', 'small', 60_000)) as { node: string }
  await cluster.event('node.stopped', scaledIn.node)
  const gone = during.find(({ id }) => id === scaledIn.node)
  expect(isRunning(gone?.pid as number)).toBe(false)
  await sleep(2_000)
  await load.stop()
  expect(load.failures).toEqual([])
  expect(load.calls).toBeGreaterThan(2_000)
  expect(await cluster.nodes()).toHaveLength(1)
  await job.deregister()
})

test('the controller is killed while a part of a job moves to a new node, and while a node drains: both go on', async () => {
  const cluster = await Cluster.startSmall(
    { ramBytes: 128 * 2 ** 20, nodesMax: 3, bytesPerSecond: 2e7 },
    { warmNodes: 0 },
  )
  const job = await (await cluster.connect()).registerJob('killed', {
    capacityBytes: 48 * 2 ** 20,
    peakBytesPerSecond: 8e6,
  })
  const load = new PacedLoad(await openFunctions(job.ticket, 4), 280)
  await cluster.event('class.scaledOut', 'small')
  await cluster.kill('controller')
  const nodes = async (): Promise<string[]> => (await cluster.nodes()).map(({ state }) => state)
  await expect.poll(() => nodes().catch(() => [])).toEqual(['active', 'active'])
  const reserved = async (): Promise<number> => {
    const all = await cluster.nodes().catch(() => [])
    return all.reduce((sum, { tiers }) => sum + (tiers.ram?.reservedBytes ?? 0), 0)
  }
  const { ram } = job.reservation.bytes
  await expect.poll(reserved).toBe(ram)
  load.rate = 60
  const { node } = (await cluster.event('class.scaledIn', 'small', 60_000)) as { node: string }
  await cluster.kill('controller')
  await expect.poll(() => nodes().catch(() => [])).toEqual(['active'])
  expect((await cluster.nodes()).map(({ id }) => id)).not.toContain(node)
  await load.stop()
  expect(load.failures).toEqual([])
  await job.deregister()
})
