import { describe, expect, test } from 'vitest'
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
    const { world } = await startLosingAnswers()
    const { url } = world
    await world.stop()
    const mayfly = await connect(url, { apiKey })
    const ownMs = startOwnTime()
    await expect(mayfly.registerJob('nobody', hints)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(ownMs()).toBeLessThan(5_000)
  })
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
