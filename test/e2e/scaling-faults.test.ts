import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { MayflyError } from '../../protocol/errors.ts'
import { NODE_START_MS_MAX } from '../../protocol/limits.ts'
import { Cluster, isRunning } from '../fixture/mayfly-up.ts'
import { openFunctions } from './support/functions.ts'
import { PacedLoad } from './support/paced-load.ts'

const MIB = 2 ** 20
/** Throughput of a node of the only class: 280 calls of 64 KiB are 92 % of it. */
const NODE_RATE = 2e7
const ABOVE_THE_BAND = 280
const small = { ramBytes: 128 * MIB, nodesMax: 3, bytesPerSecond: NODE_RATE }
const hints = { capacityBytes: 48 * MIB, peakBytesPerSecond: 8e6 }

test('a new node that starts and never reports is given up and said to be lost; another takes its place, and nothing fails', async () => {
  const cluster = await Cluster.startSmall(small, { warmNodes: 0 })
  const job = await (await cluster.connect()).registerJob('silent', hints)
  const [first] = await storageNodes(cluster)
  const load = new PacedLoad(await openFunctions(job.ticket, 4), ABOVE_THE_BAND)
  // The node is suspended before it can report.
  const silent = await newNode(cluster, [first as number])
  process.kill(silent, 'SIGSTOP')
  const { started } = (await cluster.event('class.scaledOut', 'small')) as { started: string[] }
  const [node = ''] = started
  const lost = await cluster.event('node.lost', node, NODE_START_MS_MAX + 15_000)
  expect(lost.reason).toMatch(/report/)
  const next = await newNode(cluster, [first as number, silent])
  await expect.poll(() => states(cluster)).toEqual(['active', 'active', 'lost'])
  await expect.poll(() => isRunning(silent)).toBe(false)
  expect(isRunning(next)).toBe(true)
  await load.stop()
  expect(load.failures).toEqual([])
  await job.deregister()
})

test('a node that dies while it is filled takes with it what had come, and the job goes on without it', async () => {
  const cluster = await Cluster.startSmall({ ...small, ramBytes: 384 * MIB }, { warmNodes: 0 })
  const job = await (await cluster.connect()).registerJob('filled', { ...hints, capacityBytes: 300 * MIB })
  const [first] = await storageNodes(cluster)
  const keys = Array.from({ length: 160 }, (_, index) => `ballast/${index}`)
  const bytes = Buffer.alloc(MIB, 'ballast ')
  for (const key of keys) await job.put(key, bytes)
  const load = new PacedLoad(await openFunctions(job.ticket, 4), ABOVE_THE_BAND)
  const victim = await newNode(cluster, [first as number])
  const filled = async (): Promise<number> =>
    (await cluster.nodes()).find(({ pid }) => pid === victim)?.tiers.ram?.usedBytes ?? 0
  await expect.poll(filled, { interval: 50 }).toBeGreaterThan(MIB)
  process.kill(victim, 'SIGKILL')
  const { id } = (await cluster.nodes()).find(({ pid }) => pid === victim) as { id: string }
  await cluster.event('node.lost', id)
  await sleep(3_000)
  const codes = new Set(load.failures.map((error) => error instanceof MayflyError && error.code))
  expect([...codes].filter((code) => code !== 'OBJECT_LOST' && code !== 'OUTCOME_UNKNOWN')).toEqual([])
  const failedBefore = load.failures.length
  const found = await Promise.all(
    keys.map((key) =>
      job.get(key).then(
        (value) => (value.equals(bytes) ? 'there' : 'wrong'),
        (error: unknown) => (error instanceof MayflyError ? error.code : error),
      ),
    ),
  )
  expect(found.filter((each) => each !== 'there' && each !== 'OBJECT_LOST')).toEqual([])
  expect(found.filter((each) => each === 'there').length).toBeGreaterThan(keys.length / 4)
  expect(found).toContain('OBJECT_LOST')
  await load.stop()
  expect(load.failures.slice(failedBefore)).toEqual([])
  await job.deregister()
})

test('load that rises while another node drains: a node is added all the same, the drain ends, and nothing fails', async () => {
  const cluster = await Cluster.startSmall({ ...small, ramBytes: 384 * MIB, nodesMax: 4 }, { warmNodes: 0 })
  const mayfly = await cluster.connect()
  // Each of these jobs takes a whole node.
  const whole = { capacityBytes: Math.floor((383 * MIB * 16) / 17), peakBytesPerSecond: 8e6 }
  const [busy, large] = [await mayfly.registerJob('busy', whole), await mayfly.registerJob('large', whole)]
  const [drained] = await cluster.nodesOf(large)
  expect((await cluster.nodesOf(busy)).map(({ id }) => id)).not.toContain(drained?.id)
  const keys = Array.from({ length: 240 }, (_, index) => `ballast/${index}`)
  const bytes = Buffer.alloc(MIB, 'ballast ')
  for (const key of keys) await large.put(key, bytes)
  await sleep(2_000)
  const load = new PacedLoad(await openFunctions(busy.ticket, 8), 2 * ABOVE_THE_BAND)
  await sleep(1_000)
  const drainedFrom = Date.now()
  await cluster.drain(drained?.id as string)
  const scaledOut = await cluster.event('class.scaledOut', 'small')
  const { at: stoppedAt } = await cluster.event('node.stopped', drained?.id as string, 60_000)
  const decidedAtMs = Date.parse(scaledOut.at as string)
  expect(decidedAtMs).toBeGreaterThan(drainedFrom)
  expect(decidedAtMs).toBeLessThan(Date.parse(stoppedAt as string))
  const nodesOf = async (job: typeof busy): Promise<string[]> => {
    const { reservation } = await cluster.api<{ reservation: typeof job.reservation }>(`/v1/jobs/${job.id}`)
    return reservation.nodes.map(({ node }) => node)
  }
  await expect.poll(() => nodesOf(busy)).toHaveLength(2)
  expect(await nodesOf(large)).not.toContain(drained?.id)
  await load.stop()
  expect(load.failures).toEqual([])
  for (const key of keys) expect((await large.get(key)).equals(bytes)).toBe(true)
  await Promise.all([busy.deregister(), large.deregister()])
})

test('where the class has all of its nodes that is said, load goes on, and what does not fit is refused', async () => {
  const cluster = await Cluster.startSmall({ ...small, nodesMax: 1 })
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('full', hints)
  const load = new PacedLoad(await openFunctions(job.ticket, 4), ABOVE_THE_BAND)
  expect(await cluster.event('class.full', 'small')).toMatchObject({ resource: 'network', nodesMax: 1 })
  await expect(mayfly.registerJob('more', { ...hints, capacityBytes: 100 * MIB })).rejects.toMatchObject({
    code: 'RESERVATION_REFUSED',
    reason: expect.stringMatching(/are free of the cluster's 134217728 bytes/),
  })
  expect(await states(cluster)).toEqual(['active'])
  await load.stop()
  expect(load.failures).toEqual([])
  expect(load.calls).toBeGreaterThan(500)
  await job.deregister()
})

async function states(cluster: Cluster): Promise<string[]> {
  return (await cluster.nodes()).map(({ state }) => state).sort()
}

async function storageNodes(cluster: Cluster): Promise<number[]> {
  const processes = await cluster.processes()
  return processes.filter(({ plane }) => plane === 'storage-node').map(({ pid }) => pid)
}

/** The process of a node that is not among `known`, as soon as it exists. */
async function newNode(cluster: Cluster, known: readonly number[], withinMs = 40_000): Promise<number> {
  for (const untilMs = Date.now() + withinMs; Date.now() < untilMs; await sleep(10)) {
    const pid = (await storageNodes(cluster)).find((each) => !known.includes(each))
    if (pid !== undefined) return pid
  }
  throw new Error(`no new node was started within ${withinMs} ms`)
}
