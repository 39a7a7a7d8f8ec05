import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Job } from '../../client/job.ts'
import { LOOK_MS, PING_LOOKS } from '../../protocol/limits.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { startOwnTime } from '../fixture/own-time.ts'
import { open, Planes } from '../fixture/planes.ts'
import type { Direction } from '../fixture/proxy.ts'
import { startSwallowingProxy } from '../fixture/swallowing-proxy.ts'

/** From when a connection stops transferring bytes until a call succeeds over another connection. */
const RECOVERY_MS = 1_500

/** A job whose client reaches its node and metadata through one proxy each. */
async function openThroughProxies() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const proxies = new Map<string, Awaited<ReturnType<typeof startSwallowingProxy>>>()
  for (const address of [node.address, planes.metadataAddress])
    proxies.set(address, await startSwallowingProxy(Number(address.split(':')[1])))
  const job = new Job(ticket, {
    runtime: systemRuntime,
    dial: (address) => dialTcp(`127.0.0.1:${proxies.get(address)?.port}`),
  })
  onTestFinished(() => job.close())
  const direct = await open(ticket)
  const toNode = proxies.get(node.address)
  const swallow = (...directions: Direction[]): void => {
    for (const proxy of proxies.values()) proxy.swallow(...directions)
  }
  return { job, direct, swallow, opened: () => toNode?.opened ?? 0 }
}

async function timed<Result>(call: Promise<Result>): Promise<{ result: Result; ms: number }> {
  const ownMs = startOwnTime()
  const result = await call
  return { result, ms: ownMs() }
}

const ways: [string, Direction[]][] = [
  ['either way', ['requests', 'answers']],
  ['from the client to the servers', ['requests']],
  ['from the servers to the client', ['answers']],
]

test.each(ways)(
  'I20: calls over connections that carry nothing %s any more succeed soon, each once',
  async (_, directions) => {
    const { job, direct, swallow } = await openThroughProxies()
    await job.createBucket('b')
    await job.put('k', 'v')
    await job.append('log', 'a')
    swallow(...directions)
    const get = await timed(job.get('k'))
    expect(get.result.toString()).toBe('v')
    expect(get.ms).toBeLessThan(RECOVERY_MS)
    swallow(...directions)
    const append = await timed(job.append('log', 'b'))
    expect(append.result).toBe(2)
    expect(append.ms).toBeLessThan(RECOVERY_MS)
    swallow(...directions)
    const consume = await timed(job.get('k', { consume: true }))
    expect(consume.result.toString()).toBe('v')
    expect(consume.ms).toBeLessThan(RECOVERY_MS)
    swallow(...directions)
    const create = await timed(job.buckets())
    expect(create.result).toEqual(['default', 'b'])
    expect(create.ms).toBeLessThan(RECOVERY_MS)
    expect((await direct.get('log')).toString()).toBe('ab')
    expect(await direct.exists('k')).toBe(false)
  },
)

test('calls that are under way when their connection carries nothing any more are repeated, each applied once', async () => {
  const { job, direct, swallow } = await openThroughProxies()
  await job.put('log', '')
  // The requests are already sent when the answers are dropped.
  const appends = Array.from({ length: 50 }, (_, index) => job.append('log', `${index};`))
  await appends[0]
  swallow('requests', 'answers')
  const { ms } = await timed(Promise.all([...appends, ...Array.from({ length: 50 }, () => job.get('log'))]))
  expect(ms).toBeLessThan(RECOVERY_MS)
  const parts = (await direct.get('log')).toString().split(';').filter(Boolean).map(Number)
  expect(parts.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index))
})

test('a consume that has waited for long notices that its connection carries nothing any more, and gets what is put later', async () => {
  const { job, direct, swallow, opened } = await openThroughProxies()
  await job.put('k', 'v')
  const waiting = job.get('late', { consume: true, waitSeconds: 60 })
  await sleep(1_000)
  swallow('requests', 'answers')
  await sleep(PING_LOOKS * LOOK_MS + RECOVERY_MS)
  // One connection to ask the server, and the one that is used from then on.
  expect(opened()).toBe(3)
  await direct.put('late', 'here')
  expect((await timed(waiting)).ms).toBeLessThan(200)
  expect(await direct.exists('late')).toBe(false)
})

test('a client that waits for minutes keeps its connection, at a frame each way every 5 s', async () => {
  const { job, direct, opened } = await openThroughProxies()
  const waiting = job.get('late', { waitSeconds: 60 })
  await sleep(2 * PING_LOOKS * LOOK_MS)
  expect(opened()).toBe(1)
  await direct.put('late', 'here')
  expect((await waiting).toString()).toBe('here')
})
