import { describe, expect, test } from 'vitest'
import { freePort } from '../../bench/servers/server.ts'
import { connect } from '../../client/connect.ts'
import { REGISTRATION_CLAIM_MS } from '../../controller/limits.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'
import { apiKey, eventually, MIB, World } from '../controller/support/world.ts'
import { startLosing } from '../fixture/losing-proxy.ts'
import { startOwnTime } from '../fixture/own-time.ts'

const hints = { capacityBytes: 16 * MIB, peakBytesPerSecond: 1000 }

async function startLosingAnswers() {
  const world = await World.start()
  const proxy = await startLosing(new URL(world.url).host)
  const mayfly = await connect(`http://${proxy.address}`, { apiKey })
  return { world, proxy, mayfly }
}

const jobsOf = async (world: World) => (await world.ask('/v1/jobs')).body.jobs

describe('a call of a driver whose answer is lost', () => {
  test('registers its job once', async () => {
    const { world, proxy, mayfly } = await startLosingAnswers()
    proxy.loseAnswer()
    const job = await mayfly.registerJob('once', hints)
    expect((await jobsOf(world)).map(({ id }: { id: string }) => id)).toEqual([job.id])
    const second = await mayfly.registerJob('once', hints)
    expect(second.id).not.toBe(job.id)
  })

  test('renews, narrows and ends it as if it had not been lost', async () => {
    const { world, proxy, mayfly } = await startLosingAnswers()
    const job = await mayfly.registerJob('once', hints)
    proxy.loseAnswer()
    await job.renew()
    proxy.loseAnswer()
    expect(await job.issueTicket({ write: false })).toMatch(/^mayfly2\./)
    proxy.loseAnswer()
    await job.deregister()
    expect(await jobsOf(world)).toEqual([])
  })

  test('fails at once where no controller is there', async () => {
    const mayfly = await connect(`http://127.0.0.1:${await freePort()}`, { apiKey })
    const ownMs = startOwnTime()
    await expect(mayfly.registerJob('nobody', hints)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(ownMs()).toBeLessThan(5_000)
  })
})

describe('a registration under way while its controller ends', () => {
  async function begin() {
    const world = await World.start({ port: await freePort(), nodesReport: false })
    const retries: string[] = []
    const mayfly = await connect(world.url, {
      apiKey,
      onRetry: ({ error }) => void retries.push(error.message),
    })
    const registered = mayfly.registerJob('once', hints, { deadlineMs: 60_000 })
    await eventually(() => expect(world.fleet.running.size).toBe(1))
    return { world, registered, retries }
  }

  async function report(world: World): Promise<void> {
    for (const node of world.fleet.running.keys()) await world.report(node)
  }

  /** A registration that the former controller has rolled back is repeated: the job that failed is in the list too. */
  async function expectOneJob(world: World, registered: Promise<{ readonly id: string }>): Promise<void> {
    let isRegistered = false
    const then = (): void => {
      isRegistered = true
    }
    registered.then(then, then)
    // The repeated registration may start a node of its own, at any time.
    await eventually(async () => {
      await report(world)
      expect(isRegistered).toBe(true)
    })
    const { id } = await registered
    const active = (await jobsOf(world)).filter(({ state }: { state: string }) => state === 'active')
    expect(active).toMatchObject([{ id }])
  }

  test('is carried out once by the one that takes over', async () => {
    const { world, registered, retries } = await begin()
    await world.stop()
    await eventually(() => expect(retries[0]).toContain('The controller is stopping'))
    await world.startController()
    await expectOneJob(world, registered)
  })

  test('is repeated until the one that takes over has rolled it back', async () => {
    const { world, registered, retries } = await begin()
    const { createJob } = world.metadata
    world.metadata.createJob = () => new Promise(() => undefined)
    await report(world)
    await world.stop()
    world.metadata.createJob = createJob
    let rollBack = (): void => undefined
    const held = new Promise<void>((resolve) => {
      rollBack = resolve
    })
    const store = world.openStore()
    const putJobs = store.putJobs.bind(store)
    store.putJobs = async (jobs) => held.then(() => putJobs(jobs))
    world.openStore = () => store
    const started = world.startController()
    await eventually(() => expect(retries.at(-1)).toContain('is being rolled back'))
    rollBack()
    await started
    await expectOneJob(world, registered)
  })
})

test('a connection that another machine refuses is repeated, as a controller may be about to lead there', async () => {
  const port = await freePort()
  let refusals = 0
  const onRetry = (): void => void refusals++
  // No loopback by its name, and no other machine.
  const mayfly = await connect(`http://[::ffff:127.0.0.1]:${port}`, { apiKey, onRetry })
  const jobs = mayfly.jobs({ deadlineMs: 60_000 })
  await eventually(() => expect(refusals).toBeGreaterThan(1))
  await World.start({ port })
  expect(await jobs).toEqual([])
})

test('what is asked for again changes nothing: a resize, a renewal, an end', async () => {
  const world = await World.start()
  const { id } = (await world.register({ hints })).body
  const twice = async (path: string, method: string, body?: unknown) => {
    const ask = () => world.ask(`/v1/jobs/${id}${path}`, { method, ...(body !== undefined && { body }) })
    return [await ask(), await ask()].map((reply) => [reply.status, reply.body.reservation, reply.body.state])
  }
  for (const [path, method, body] of [
    ['', 'PATCH', { hints: { capacityBytes: 32 * MIB } }],
    ['/renew', 'POST'],
    ['', 'DELETE'],
  ] as const) {
    const [first, second] = await twice(path, method, body)
    expect(second).toEqual(first)
    expect(first?.[0]).toBe(200)
  }
})

describe('a registration whose caller is gone before its answer', () => {
  /** The job's node has not reported yet. */
  async function abandoned(headers: Record<string, string>) {
    const clock = new VirtualClock()
    const world = await World.start({ clock, nodesReport: false })
    const gone = new AbortController()
    const asked = world
      .ask('/v1/jobs', { method: 'POST', body: { name: 'a', hints }, headers, signal: gone.signal })
      .catch((error: Error) => error.name)
    await eventually(() => expect(world.fleet.running.size).toBe(1))
    gone.abort()
    expect(await asked).toBe('AbortError')
    const [node = ''] = world.fleet.running.keys()
    // The controller notices the disconnect before the node reports.
    await new Promise((resolve) => setTimeout(resolve, 100))
    await world.report(node)
    return { world, clock }
  }

  test('leaves no reservation', async () => {
    const { world } = await abandoned({})
    await eventually(async () => expect(await jobsOf(world)).toEqual([]))
  })

  test('leaves none either where it has a key that nobody asks for again', async () => {
    const { world, clock } = await abandoned({ 'idempotency-key': 'k' })
    await eventually(async () => expect(await jobsOf(world)).toMatchObject([{ state: 'active' }]))
    await clock.advance(REGISTRATION_CLAIM_MS)
    await eventually(async () => expect(await jobsOf(world)).toEqual([]))
    // A client that was cut off for longer gets a job all the same.
    const late = world.register({ name: 'a', hints }, { 'idempotency-key': 'k' })
    await eventually(async () => {
      for (const node of world.fleet.running.keys()) await world.report(node)
      expect(await jobsOf(world)).toMatchObject([{ state: 'active' }])
    })
    expect((await late).status).toBe(201)
  })

  test('is there for who asks again with its key, and stays', async () => {
    const { world, clock } = await abandoned({ 'idempotency-key': 'k' })
    const again = await world.ask('/v1/jobs', {
      method: 'POST',
      body: { name: 'a', hints },
      headers: { 'idempotency-key': 'k' },
    })
    expect(again.status).toBe(201)
    await clock.advance(2 * REGISTRATION_CLAIM_MS)
    expect(await jobsOf(world)).toMatchObject([{ id: again.body.id, state: 'active' }])
  })
})
