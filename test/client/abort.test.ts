import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Job } from '../../client/job.ts'
import { NOBODY } from '../../protocol/model/placement.ts'
import { formatTicket } from '../../protocol/model/ticket.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { startOwnTime } from '../fixture/own-time.ts'
import { open, Planes } from '../fixture/planes.ts'

interface Limits {
  readonly signal?: AbortSignal
  readonly deadlineMs?: number
}

const large = Buffer.alloc(3 * 2 ** 20)

/** Every call of the SDK to a node, by name. */
const calls: readonly (readonly [name: string, call: (job: Job, limits: Limits) => Promise<unknown>])[] = [
  ['put', (job, limits) => job.put('k', 'x', limits)],
  ['put of a large object', (job, limits) => job.put('k', large, limits)],
  ['putMany', (job, limits) => job.putMany([{ key: 'k', bytes: 'x' }], limits)],
  ['putStream', (job, limits) => job.putStream('k', Readable.from([large]), limits)],
  ['append', (job, limits) => job.append('k', 'x', limits)],
  ['get', (job, limits) => job.get('k', limits)],
  ['get that consumes', (job, limits) => job.get('k', { ...limits, consume: true })],
  ['get that waits', (job, limits) => job.get('k', { ...limits, waitSeconds: 0.001 })],
  ['getMany', (job, limits) => job.getMany(['k'], limits)],
  ['getStream', (job, limits) => buffer(job.getStream('k', limits))],
  ['stat', (job, limits) => job.stat('k', limits)],
  ['statMany', (job, limits) => job.statMany(['k'], limits)],
  ['delete', (job, limits) => job.delete('k', limits)],
  ['deleteMany', (job, limits) => job.deleteMany(['k'], limits)],
  [
    'list',
    async (job, limits) => {
      for await (const entry of job.list(limits)) return entry
      return null
    },
  ],
]

/** A server that reads and never answers. */
async function silentServer(): Promise<{ address: string; connections: () => number }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.resume().on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => sockets.size,
  }
}

function ticketTo(node: string | null, metadata: string): string {
  const nodes = node === null ? [] : [{ id: 'n-1', address: node }]
  const owners = new Uint16Array(4).fill(node === null ? NOBODY : 0)
  return formatTicket({
    metadata,
    job: 'j-1',
    token: Buffer.alloc(50),
    placement: { epoch: 1, nodes, owners },
  })
}

/** Each stage at which a call can be held up, by name. */
const stages: readonly (readonly [name: string, hold: () => Promise<Job>])[] = [
  [
    'while it connects',
    async () => {
      const dial = () => new Promise<never>(() => undefined)
      return new Job(ticketTo('192.0.2.1:9', '192.0.2.1:9'), { runtime: systemRuntime, dial })
    },
  ],
  [
    'while it waits for metadata',
    async () =>
      new Job(ticketTo(null, (await silentServer()).address), { runtime: systemRuntime, dial: dialTcp }),
  ],
  [
    'while the node is silent',
    async () => {
      const { address } = await silentServer()
      return new Job(ticketTo(address, address), { runtime: systemRuntime, dial: dialTcp })
    },
  ],
]

const table = stages.flatMap(([stage, hold]) => calls.map(([name, call]) => ({ name, stage, hold, call })))

test.each(table)('$name that is aborted $stage fails with ABORTED at once', async ({ hold, call }) => {
  const job = await hold()
  onTestFinished(() => job.close())
  const controller = new AbortController()
  const calling = call(job, { signal: controller.signal }).catch((error: unknown) => error)
  await sleep(30)
  const ownMs = startOwnTime()
  controller.abort(new Error('enough'))
  expect(await calling).toMatchObject({ code: 'ABORTED' })
  expect(ownMs()).toBeLessThan(100)
})

test.each(table)('$name whose deadline passes $stage says so', async ({ hold, call }) => {
  const job = await hold()
  onTestFinished(() => job.close())
  const startedMs = performance.now()
  const ownMs = startOwnTime()
  const error = await call(job, { deadlineMs: 60 }).catch((error: unknown) => error)
  expect(['DEADLINE_EXCEEDED', 'OUTCOME_UNKNOWN', 'UNAVAILABLE']).toContain((error as { code: string }).code)
  expect(performance.now() - startedMs).toBeGreaterThan(40)
  expect(ownMs()).toBeLessThan(1_000)
})

test('a call whose signal has fired already connects to nobody', async () => {
  const { address, connections } = await silentServer()
  const job = new Job(ticketTo(address, address), { runtime: systemRuntime, dial: dialTcp })
  for (const [, call] of calls) {
    await expect(call(job, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
  }
  expect(connections()).toBe(0)
  await job.close()
})

async function openTwo() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  return { node, job: await open(ticket), producer: await open(ticket) }
}

test('a consumer that gave its wait up takes nothing: what is put afterwards stays for the next one', async () => {
  const { job, producer } = await openTwo()
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController()
    const waiting = job.get('k', { consume: true, waitSeconds: 60, signal: controller.signal })
    await sleep(10)
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    await sleep(10)
    await producer.put('k', `round ${round}`)
    expect((await producer.get('k', { consume: true })).toString()).toBe(`round ${round}`)
  }
})

test('waits that were given up, alone or of many keys, leave nothing behind on the node', async () => {
  const { node, job } = await openTwo()
  const controller = new AbortController()
  const { signal } = controller
  const waiting = Promise.allSettled([
    ...Array.from({ length: 50 }, (_, i) => job.get(`k/${i}`, { waitSeconds: 60, signal })),
    job.getMany(['a', 'b'], { waitSeconds: 60, signal }),
  ])
  const waits = () =>
    [...node.node.jobs.values()].flatMap(({ slots }) =>
      slots.flatMap((slot) => [...(slot?.waits?.keys() ?? [])]),
    ).length
  await expect.poll(waits).toBe(51)
  controller.abort()
  for (const result of await waiting)
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } })
  await expect.poll(waits).toBe(0)
})

test('hundreds of calls may share one signal without a warning', async () => {
  const { job } = await openTwo()
  const warnings: string[] = []
  const onWarning = ({ message }: Error): void => void warnings.push(message)
  process.on('warning', onWarning)
  const { signal } = new AbortController()
  await Promise.all(Array.from({ length: 300 }, (_, i) => job.put(`k/${i}`, 'x', { signal })))
  await job.put('large', Buffer.alloc(30 * 2 ** 20), { signal })
  await sleep(10)
  process.off('warning', onWarning)
  expect(warnings).toEqual([])
})
