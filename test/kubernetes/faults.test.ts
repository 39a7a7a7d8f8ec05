import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { MayflyError } from '../../client/index.ts'
import { startCuttableProxy } from '../fixture/cuttable-proxy.ts'
import { isRunning } from '../fixture/mayfly-up.ts'
import { clusters, type Running, startLoad } from './support/load.ts'

const start = clusters()

/** How long the API server is away, or cannot be reached. */
const AWAY_MS = 60_000

async function nodeOf({ cluster }: Running): Promise<{ id: string; pod: string }> {
  const active = (await cluster.nodes()).find(({ state }) => state === 'active')
  if (active === undefined) throw new Error('no node is active')
  return { id: active.id, pod: `mayfly-${active.id}` }
}

/** A job that needs a node of its own. */
async function registerMore({ cluster }: Running, name: string, waitSeconds = 60) {
  const mayfly = await cluster.connect()
  return await mayfly.registerJob(name, { capacityBytes: 96 * 2 ** 20 }, { waitSeconds })
}

async function reasonOf(running: Running, node: string): Promise<string> {
  const log = running.controllers.map((each) => each.log()).join('\n')
  const line = log.split('\n').find((each) => each.includes('a storage node is lost') && each.includes(node))
  return line === undefined ? '' : (JSON.parse(line) as { reason: string }).reason
}

test('a pod that is evicted under load is emptied first: no call fails, and nothing is lost', async (context) => {
  const running = await start(context)
  const { cluster, kubernetes } = running
  const load = await startLoad(running)
  const { id, pod } = await nodeOf(running)
  await sleep(1_000)
  const eviction = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name: pod, namespace: cluster.namespace },
  }
  const path = `/api/v1/namespaces/${cluster.namespace}/pods/${pod}/eviction`
  await kubernetes.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(eviction))
  await expect
    .poll(async () => (await cluster.pods()).map(({ metadata }) => metadata.name))
    .not.toContain(pod)
  await expect.poll(async () => (await cluster.nodes()).map((node) => node.id)).not.toContain(id)
  await sleep(1_000)
  expect(await load.finish()).toEqual([])
  for (let index = 0; index < 200; index++) expect(await load.job.exists(`fill/${index}`)).toBe(true)
  await load.job.deregister()
  await expect.poll(() => cluster.pods()).toEqual([])
})

test('one pod at a time may be evicted', async (context) => {
  const running = await start(context)
  const jobs = [
    await registerMore(running, 'one'),
    await registerMore(running, 'two'),
    await registerMore(running, 'three'),
  ]
  const { cluster, kubernetes } = running
  const pods = await cluster.pods()
  expect(pods).toHaveLength(3)
  const budget = async (): Promise<unknown> =>
    (await kubernetes.get('pdb', cluster.namespace))[0]?.status?.disruptionsAllowed
  await expect.poll(budget).toBe(1)
  const evict = async (name: string): Promise<boolean> => {
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace: cluster.namespace },
    }
    const path = `/api/v1/namespaces/${cluster.namespace}/pods/${name}/eviction`
    return await kubernetes.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(eviction)).then(
      () => true,
      () => false,
    )
  }
  const evicted = await Promise.all(pods.map(({ metadata }) => evict(metadata.name)))
  expect(evicted.filter((was) => was)).toHaveLength(1)
  await expect.poll(budget).toBe(1)
  for (const job of jobs) await job.deregister()
  await expect.poll(() => cluster.pods()).toEqual([])
})

test('a container that was killed proves the death of its node at once', async (context) => {
  const running = await start(context)
  const load = await startLoad(running)
  const { id } = await nodeOf(running)
  const diedMs = performance.now()
  process.kill(await running.cluster.pidOf(id), 'SIGKILL')
  await expect.poll(() => reasonOf(running, id), { timeout: 5_000 }).toContain('exit code 137')
  // Slots are served again on another pod.
  await load.job.put('again', 'value', { deadlineMs: 60_000 })
  expect(await load.finish([diedMs])).toEqual([])
  await load.job.deregister()
  await expect.poll(() => running.cluster.pods()).toEqual([])
})

test('a pod that is deleted by force proves nothing: the lease of its node decides', async (context) => {
  const running = await start(context)
  const load = await startLoad(running)
  const { id, pod } = await nodeOf(running)
  const pid = await running.cluster.pidOf(id)
  await running.cluster.kubectl('delete', 'pod', pod, '--force', '--grace-period=0')
  while (isRunning(pid)) await sleep(20)
  const diedMs = performance.now()
  await expect.poll(() => reasonOf(running, id), { timeout: 60_000 }).toContain('its lease has lapsed')
  expect(performance.now() - diedMs).toBeGreaterThan(10_000)
  await load.job.put('again', 'value', { deadlineMs: 60_000 })
  expect(await load.finish([diedMs])).toEqual([])
  await load.job.deregister()
  await expect.poll(() => running.cluster.pods()).toEqual([])
})

test('a standby takes over from a controller that was killed, and finds its pods', async (context) => {
  const running = await start(context, { controllers: 2 })
  const { cluster, controllers } = running
  const load = await startLoad(running)
  const before = (await cluster.pods()).map(({ metadata }) => metadata.name)
  await expect.poll(() => cluster.leaders()).toEqual(['mayfly-controller-0'])
  // It is under way when the leader is killed, and needs a pod.
  const registered = registerMore(running, 'more')
  registered.catch(() => undefined)
  await expect.poll(() => cluster.pods()).toHaveLength(2)
  controllers[0]?.child.kill('SIGKILL')
  await controllers[1]?.ready
  const more = await registered
  await more.put('key', 'value')
  expect((await cluster.pods()).map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining(before))
  expect(await load.finish()).toEqual([])
  await expect.poll(() => cluster.leaders()).toEqual(['mayfly-controller-1'])
  for (const job of [more, load.job]) await job.deregister()
  await expect.poll(() => cluster.pods()).toEqual([])
})

test('while the API server is away functions go on, and a registration that needs a pod has it once it is back', async (context) => {
  // Scheduler and kubelet ask again up to 30 s after it is back.
  const running = await start(context, { startSeconds: 60 })
  const { kubernetes, cluster } = running
  const load = await startLoad(running)
  const resume = await kubernetes.haltApiServer()
  const more = registerMore(running, 'more', 180)
  more.catch(() => undefined)
  await sleep(AWAY_MS)
  await resume()
  await (await more).put('key', 'value')
  expect(await load.finish()).toEqual([])
  for (const job of [await more, load.job]) await job.deregister()
  await expect.poll(() => cluster.pods(), { timeout: 60_000 }).toEqual([])
}, 300_000)

test('a controller that is cut off from the API server alone loses nothing, and sees afterwards what has happened', async (context) => {
  const proxy = await startCuttableProxy(6443)
  const running = await start(context, { apiServer: `https://127.0.0.1:${proxy.port}` })
  const { cluster, controllers } = running
  const load = await startLoad(running)
  const other = await registerMore(running, 'other')
  const spared = load.job.reservation.nodes.map(({ node }) => node)
  const victim = other.reservation.nodes.map(({ node }) => node).find((node) => !spared.includes(node)) ?? ''
  proxy.cut()
  process.kill(await cluster.pidOf(victim), 'SIGKILL')
  const more = registerMore(running, 'more', 180)
  more.catch(() => undefined)
  // No proof of its death can be had, so its lease decides.
  await expect.poll(() => reasonOf(running, victim), { timeout: 60_000 }).toContain('its lease has lapsed')
  await sleep(AWAY_MS)
  proxy.heal()
  await (await more).put('key', 'value')
  await other.put('again', 'value', { deadlineMs: 60_000 })
  expect(await load.finish()).toEqual([])
  expect(controllers[0]?.child.exitCode).toBe(null)
  for (const job of [await more, other, load.job]) await job.deregister()
  await expect.poll(() => cluster.pods(), { timeout: 60_000 }).toEqual([])
}, 300_000)

test('a death that happened while the watch was broken and its history was compacted is seen', async (context) => {
  const running = await start(context)
  const { kubernetes, cluster, controllers } = running
  const load = await startLoad(running)
  const { id } = await nodeOf(running)
  const resume = await kubernetes.haltApiServer()
  const diedMs = performance.now()
  process.kill(await cluster.pidOf(id), 'SIGKILL')
  await kubernetes.compactHistory()
  await resume()
  await expect.poll(async () => (await reasonOf(running, id)) !== '', { timeout: 60_000 }).toBe(true)
  await load.job.put('again', 'value', { deadlineMs: 60_000 })
  expect(await load.finish([diedMs])).toEqual([])
  expect(controllers[0]?.log()).not.toContain('"level":50')
  await load.job.deregister()
  await expect.poll(() => cluster.pods(), { timeout: 60_000 }).toEqual([])
})

test('a quota that is reached refuses a registration with the words of Kubernetes, and leaves no pod', async (context) => {
  const running = await start(context)
  const { cluster, kubernetes } = running
  const load = await startLoad(running)
  // One pod for metadata, one for the node.
  await cluster.kubectl('create', 'quota', 'few', '--hard=pods=2')
  await expect
    .poll(async () => (await kubernetes.get('quota', cluster.namespace))[0]?.status?.used)
    .toBeTruthy()
  const refused = await registerMore(running, 'more').catch((error: MayflyError) => error)
  expect(String(refused)).toContain('exceeded quota: few')
  expect(await cluster.pods()).toHaveLength(1)
  await cluster.kubectl('delete', 'quota', 'few')
  await (await registerMore(running, 'more')).deregister()
  expect(await load.finish()).toEqual([])
  await load.job.deregister()
  await expect.poll(() => cluster.pods()).toEqual([])
})

test('a pod that cannot be scheduled is given up with the reason of Kubernetes, and another class is tried', async (context) => {
  const nowhere = { nodeSelector: { 'no/such': 'machine' } }
  const classes = [
    { name: 'big', nodesMax: 4, spec: nowhere },
    { name: 'small', nodesMax: 4 },
  ]
  const running = await start(context, { classes, startSeconds: 5 })
  const { cluster, controllers } = running
  const job = await registerMore(running, 'job')
  await job.put('key', 'value')
  expect((await cluster.nodes()).filter(({ state }) => state === 'active').map((node) => node.class)).toEqual(
    ['small'],
  )
  expect(controllers[0]?.log()).toContain(
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector",
  )
  expect(await cluster.pods()).toHaveLength(1)
  await job.deregister()
  await expect.poll(() => cluster.pods()).toEqual([])
})

test('a pod whose image cannot be pulled is given up after 30 s with the reason of the kubelet', async (context) => {
  const classes = [{ name: 'big', nodesMax: 1, spec: { nodeSelector: { 'no/such': 'machine' } } }]
  const running = await start(context, { classes, startSeconds: 120 })
  const { cluster, kubernetes, controllers } = running
  const registered = registerMore(running, 'job', 150).then(
    () => null,
    (error: MayflyError) => error,
  )
  // Nothing pulls images here, so the administrator says what a kubelet would.
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image "no/such:image"' }
  const containerStatuses = [
    { name: 'mayfly', image: 'none', imageID: '', ready: false, restartCount: 0, state: { waiting } },
  ]
  const seen = new Set<string>()
  const refuse = async (): Promise<void> => {
    for (const { metadata } of await cluster.pods()) {
      if (seen.has(metadata.name)) continue
      seen.add(metadata.name)
      const patch = JSON.stringify({ status: { containerStatuses } })
      await kubernetes.kubectl([
        '-n',
        cluster.namespace,
        'patch',
        'pod',
        metadata.name,
        '--subresource=status',
        '--type=merge',
        '-p',
        patch,
      ])
    }
  }
  const log = (): string => controllers[0]?.log() ?? ''
  await expect
    .poll(async () => refuse().then(() => log().includes('ImagePullBackOff: Back-off pulling image')), {
      timeout: 60_000,
    })
    .toBe(true)
  await expect
    .poll(
      async () => {
        await refuse()
        return await Promise.race([registered, sleep(10)])
      },
      { timeout: 110_000 },
    )
    .toBeTruthy()
  expect(String(await registered)).toContain('ImagePullBackOff')
  await expect.poll(() => cluster.pods()).toEqual([])
}, 240_000)

test('a token that has expired delays the fleet until there is a new one', async (context) => {
  const running = await start(context)
  const { cluster, controllers } = running
  await cluster.kubectl('create', 'secret', 'generic', 'session')
  await cluster.setToken(await cluster.newToken('session'))
  // The library reads the token again after a minute.
  await sleep(61_000)
  const first = await registerMore(running, 'first')
  await cluster.kubectl('delete', 'secret', 'session')
  await expect
    .poll(
      async () => {
        const more = await registerMore(running, 'probe', 1).catch(() => null)
        await more?.deregister()
        return controllers[0]?.log()
      },
      { timeout: 60_000 },
    )
    .toContain('Unauthorized')
  await first.put('key', 'value')
  await cluster.setToken(await cluster.newToken())
  await sleep(61_000)
  const second = await registerMore(running, 'second')
  expect((await first.get('key')).toString()).toBe('value')
  for (const job of [first, second]) await job.deregister()
  await expect.poll(() => cluster.pods()).toEqual([])
}, 300_000)
