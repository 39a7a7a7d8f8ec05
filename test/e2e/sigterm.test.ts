import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { seed } from '../controller/support/seed.ts'
import { LoneProcesses } from '../fixture/lone-processes.ts'
import { Cluster, isRunning } from '../fixture/mayfly-up.ts'
import { SeededRandom } from '../simulation/world/random.ts'
import { fill, openFunctions } from './support/functions.ts'
import { judge } from './support/judge.ts'
import { Traffic } from './support/traffic.ts'

/** A second for each signal, and one for the machine. */
const AT_ONCE_MS = 2_000

async function begin(settings: NodeJS.ProcessEnv = {}) {
  const processes = await LoneProcesses.prepare()
  await processes.controller()
  await processes.metadata('m-1')
  const first = await processes.node(settings)
  const mayfly = await processes.connect()
  const register = async () => {
    // A job is refused where no node has reported yet.
    await expect.poll(async () => (await nodesOf(processes)).map(({ state }) => state)).toContain('active')
    return await mayfly.registerJob('ended', { capacityBytes: 2 ** 26 }, { waitSeconds: 20 })
  }
  return { processes, first, register }
}

async function nodesOf({ url, apiKey }: LoneProcesses): Promise<{ state: string }[]> {
  const answer = await fetch(new URL('/v1/nodes', url), { headers: { authorization: `Bearer ${apiKey}` } })
  return ((await answer.json()) as { nodes: { state: string }[] }).nodes
}

async function readyStatus(probes: string): Promise<number> {
  return (await fetch(`http://${probes}/readyz`)).status
}

test('SIGTERM drains a storage node under load: no call fails, nothing is lost, and the process ends with 0', async () => {
  const { processes, first, register } = await begin()
  const job = await register()
  await fill(job, { count: 600, bytes: 64 * 1024 })
  const clients = await openFunctions(job.ticket, 3)
  const traffic = new Traffic({ clients, lanes: 3, random: new SeededRandom(`${seed}`), pauseMs: 5 })
  await sleep(1_000)
  const second = await processes.node()
  await expect.poll(() => readyStatus(second.probes)).toBe(200)
  const ended = first.end('SIGTERM')
  await expect.poll(() => readyStatus(first.probes)).toBe(503)
  expect(await ended).toBe(0)
  await sleep(1_000)
  const history = await traffic.stop()
  console.info(history.summary())
  expect(judge({ calls: history.calls, lossesMs: [] }, { mayFail: false })).toEqual([])
  expect((await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')).toEqual([])
  for (let index = 0; index < 600; index++) expect(await job.exists(`fill/${index}`)).toBe(true)
  await job.deregister()
})

test('a node that cannot be emptied serves until its time is over, and a second signal ends it at once', async () => {
  const { processes, first, register } = await begin({ MAYFLY_DRAIN_SECONDS: '4' })
  const job = await register()
  await job.put('key', 'value')
  const beganMs = performance.now()
  const ended = first.end('SIGTERM')
  await sleep(2_000)
  // There is no other node.
  expect((await job.get('key')).toString()).toBe('value')
  expect(await ended).toBe(0)
  expect(performance.now() - beganMs).toBeGreaterThan(3_900)
  await job.deregister({ deadlineMs: 60_000 }).catch(() => undefined)
  const second = await processes.node()
  const other = await register()
  await other.put('key', 'value')
  second.child.kill('SIGTERM')
  await expect.poll(() => readyStatus(second.probes)).toBe(503)
  const againMs = performance.now()
  expect(await second.end('SIGTERM')).toBe(0)
  expect(performance.now() - againMs).toBeLessThan(AT_ONCE_MS)
})

test('a node without a slot ends at once, also without a controller', async () => {
  const { processes, first, register } = await begin()
  const job = await register()
  await job.deregister()
  const emptyMs = performance.now()
  expect(await first.end('SIGTERM')).toBe(0)
  expect(performance.now() - emptyMs).toBeLessThan(2 * AT_ONCE_MS)
  const second = await processes.node({ MAYFLY_CONTROLLER_URL: 'http://127.0.0.1:1' })
  const aloneMs = performance.now()
  expect(await second.end('SIGTERM')).toBe(0)
  expect(performance.now() - aloneMs).toBeLessThan(AT_ONCE_MS)
})

test('`mayfly up` ends within two seconds although its nodes hold objects', async () => {
  const cluster = await Cluster.startSmall({ ramBytes: 64 * 2 ** 20, nodesMax: 2 })
  const job = await (await cluster.connect()).registerJob('up', { capacityBytes: 2 ** 24 })
  await job.put('key', 'value')
  await job.close()
  const beganMs = performance.now()
  process.kill(cluster.pid, 'SIGTERM')
  while (isRunning(cluster.pid)) await sleep(20)
  expect(performance.now() - beganMs).toBeLessThan(AT_ONCE_MS)
})
