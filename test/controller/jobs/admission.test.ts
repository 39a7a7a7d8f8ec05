import { describe, expect, test } from 'vitest'
import { REGISTRATIONS_OF_KEY_MAX } from '../../../controller/limits.ts'
import { settle, VirtualClock } from '../support/virtual-clock.ts'
import { eventually, MIB, type Reply, smallClass, World } from '../support/world.ts'

/** More than half of one of the at most two nodes. */
const large = { hints: { capacityBytes: 200 * MIB, peakBytesPerSecond: 1_000 } }
const small = { hints: { capacityBytes: 1 * MIB, peakBytesPerSecond: 1 } }
const whole = { hints: { capacityBytes: 400 * MIB, peakBytesPerSecond: 1_000 } }

function end(world: World, reply: Reply): Promise<Reply> {
  return world.ask(`/v1/jobs/${reply.body.id}`, { method: 'DELETE' })
}

async function untilWaiting(world: World, count: number): Promise<void> {
  await eventually(async () => expect((await world.ask('/v1/cluster')).body.waiting).toBe(count))
}

describe('a registration for which there is no room now', () => {
  test('is refused at once where it does not say that it waits', async () => {
    const world = await World.start()
    await world.register(whole)
    const { status, body } = await world.register(large)
    expect([status, body.error.code]).toEqual([409, 'RESERVATION_REFUSED'])
  })

  test('waits until another job has ended', async () => {
    const world = await World.start()
    const first = await world.register(whole)
    const second = world.register({ ...large, waitSeconds: 60 })
    await untilWaiting(world, 1)
    await end(world, first)
    expect((await second).status).toBe(201)
    await untilWaiting(world, 0)
  })

  test('is refused with the numbers once it has waited for as long as it said', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ clock })
    await world.register(whole)
    const second = world.register({ ...large, waitSeconds: 10 })
    await untilWaiting(world, 1)
    await clock.advance(10_000)
    const { status, body } = await second
    expect(status).toBe(409)
    expect(body.error.message).toContain('After 10 s of waiting: Asked for')
    await untilWaiting(world, 0)
  })

  test('is not overtaken by one that would fit', async () => {
    const world = await World.start()
    const first = await world.register(large)
    await world.register(large)
    const waits = world.register({ ...whole, waitSeconds: 60 })
    await untilWaiting(world, 1)
    const refused = await world.register(small)
    expect(refused.status).toBe(409)
    expect(refused.body.error.message).toContain('came first and waits (1 do)')
    const behind = world.register({ ...small, waitSeconds: 60 })
    await untilWaiting(world, 2)
    await end(world, first)
    await settle()
    await untilWaiting(world, 2)
    const { jobs } = (await world.ask('/v1/jobs')).body
    await end(world, { ...first, body: jobs[0] })
    expect([(await waits).status, (await behind).status]).toEqual([201, 201])
  })

  test('gives up its place when its caller goes away', async () => {
    const world = await World.start()
    await world.register(whole)
    const gone = new AbortController()
    const abandoned = world
      .ask('/v1/jobs', {
        method: 'POST',
        body: { name: 'a', ...large, waitSeconds: 60 },
        signal: gone.signal,
      })
      .catch((error: Error) => error.name)
    await untilWaiting(world, 1)
    gone.abort()
    expect(await abandoned).toBe('AbortError')
    await untilWaiting(world, 0)
  })

  test('has one place for all who ask with the same key, and answers them alike', async () => {
    const world = await World.start()
    const first = await world.register(whole)
    const key = { 'idempotency-key': 'once' }
    const both = [1, 2].map(() => world.register({ ...large, waitSeconds: 60 }, key))
    await untilWaiting(world, 1)
    const other = await world.register({ ...small, waitSeconds: 60 }, key)
    expect(other.body.error.field).toBe('Idempotency-Key')
    await end(world, first)
    const [a, b] = await Promise.all(both)
    expect([a?.status, b?.body.id]).toEqual([201, a?.body.id])
  })

  test('is answered when the controller stops', async () => {
    const world = await World.start()
    await world.register(whole)
    const second = world.register({ ...large, waitSeconds: 60 })
    await untilWaiting(world, 1)
    await world.stop()
    expect((await second).status).toBe(503)
  })
})

describe('a registration before the first node that others start has joined', () => {
  test('is refused as unavailable, and says why', async () => {
    const world = await World.start({ nodesJoin: true })
    const { status, body } = await world.register(large)
    expect([status, body.error.code]).toEqual([503, 'UNAVAILABLE'])
    expect(body.error.message).toContain('No storage node has joined yet')
  })

  test('waits for it if it says so, and behind others in order', async () => {
    const world = await World.start({ nodesJoin: true })
    // The config has no tier for it but SSD, of which nothing is known yet.
    const hints = { capacityBytes: 600 * MIB, peakBytesPerSecond: 1_000, latencySensitive: false }
    const waits = world.register({ hints, waitSeconds: 60 })
    await untilWaiting(world, 1)
    const behind = await world.register(small)
    expect([behind.status, behind.body.error.code]).toEqual([503, 'UNAVAILABLE'])
    const tiers = {
      ram: { capacityBytes: 256 * MIB, usedBytes: 0 },
      ssd: { capacityBytes: 2048 * MIB, usedBytes: 0 },
    }
    await world.report('n-1', [], tiers)
    expect((await waits).text).toContain('active')
    expect((await waits).status).toBe(201)
  })

  test('waits for more nodes than have joined so far, and is refused with the numbers else', async () => {
    const world = await World.start({ nodesJoin: true })
    await world.report('n-1')
    const refused = await world.register(whole)
    expect([refused.status, refused.body.error.code]).toEqual([409, 'RESERVATION_REFUSED'])
    const waits = world.register({ ...whole, waitSeconds: 60 })
    await untilWaiting(world, 1)
    await world.report('n-2')
    expect((await waits).status).toBe(201)
  })
})

describe('a registration that can never be met', () => {
  test('is refused at once, however long it would wait', async () => {
    const world = await World.start({ classes: [{ ...smallClass, ssdBytes: 0 }] })
    const hints = { capacityBytes: 600 * MIB }
    const { status, body } = await world.register({ hints, waitSeconds: 240 })
    expect([status, body.error.code]).toEqual([409, 'RESERVATION_REFUSED'])
    expect(world.fleet.started).toBe(0)
  })

  test('for there may be no node of any class says so', async () => {
    const world = await World.start({ classes: [{ ...smallClass, nodesMax: 0 }] })
    const { status, body } = await world.register({ waitSeconds: 240, hints: { capacityBytes: 1 } })
    expect(status).toBe(409)
    expect(body.error.message).toContain('all nodes that there may be have 0 bytes and 0 bytes/s')
  })

  test('for its key may never have so much, or the nodes would cost too much, says which limit', async () => {
    const quota = { pricePerHour: 0.1 }
    const apiKeys = [
      { name: 'ci', key: 'a-key-of-16-characters', role: 'driver' as const, quota: { bytes: 10 * MIB } },
    ]
    const world = await World.start({ quota, apiKeys })
    const headers = { authorization: 'Bearer a-key-of-16-characters' }
    const ofKey = await world.register({ ...large, waitSeconds: 60 }, headers)
    expect(ofKey.body.error.message).toContain("Of API key 'ci', bytes is limited to 10485760")
    const ofCluster = await world.register({ ...whole, waitSeconds: 60 })
    expect(ofCluster.status).toBe(409)
    expect((await world.register(large)).status).toBe(201)
  })
})

describe('the limits of an API key', () => {
  const apiKeys = [
    {
      name: 'ci',
      key: 'ci-key-of-16-characters',
      role: 'driver' as const,
      quota: { jobs: 2, bytesPerSecond: 1_500 },
    },
    {
      name: 'dear',
      key: 'dear-key-of-16-characters',
      role: 'driver' as const,
      quota: { pricePerHour: 0.06 },
    },
  ]
  const ci = { authorization: 'Bearer ci-key-of-16-characters' }
  const dear = { authorization: 'Bearer dear-key-of-16-characters' }

  test('bound what its jobs have together, and nobody else', async () => {
    const world = await World.start({ apiKeys })
    const { body } = await world.register(small, ci)
    expect(body.owner).toBe('ci')
    await world.register(small, ci)
    const third = await world.register(small, ci)
    expect(third.status).toBe(409)
    expect(third.body.error.message).toContain(
      "Of API key 'ci', jobs is limited to 2, of which 2 are in use, and this asks for 1",
    )
    expect((await world.register(small)).status).toBe(201)
    const { body: cluster } = await world.ask('/v1/cluster')
    expect(cluster.apiKeys).toMatchObject([
      { name: 'default', limits: {}, spent: { jobs: 1 } },
      { name: 'ci', limits: { jobs: 2 }, spent: { jobs: 2, bytesPerSecond: 2 } },
      { name: 'dear', spent: { jobs: 0 } },
    ])
  })

  test('count the price of the part of its nodes that a job keeps from others', async () => {
    const world = await World.start({ apiKeys })
    // Half of a node of 0.1 an hour by its bytes, which are scarcer than its throughput.
    const half = { hints: { capacityBytes: 120 * MIB, peakBytesPerSecond: 1_000 } }
    const { body } = await world.register(half, dear)
    expect(body.pricePerHour).toBeCloseTo((0.1 * (120 * (17 / 16) + 1)) / 256, 6)
    const second = await world.register(half, dear)
    expect(second.body.error.message).toContain('pricePerHour is limited to 0.06')
  })

  test('hold for a job that grows, which then stays as it was', async () => {
    const world = await World.start({ apiKeys })
    const { body } = await world.register({ hints: { capacityBytes: MIB, peakBytesPerSecond: 1_000 } }, ci)
    const grow = (peakBytesPerSecond: number) =>
      world.ask(`/v1/jobs/${body.id}`, { method: 'PATCH', body: { hints: { peakBytesPerSecond } } })
    expect((await grow(1_600)).status).toBe(409)
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.hints.peakBytesPerSecond).toBe(1_000)
    expect((await grow(1_500)).status).toBe(200)
  })

  test('let its own registrations wait, and others pass', async () => {
    const world = await World.start({ apiKeys })
    const first = await world.register(small, ci)
    await world.register(small, ci)
    const third = world.register({ ...small, waitSeconds: 60 }, ci)
    await untilWaiting(world, 1)
    expect((await world.register(small)).status).toBe(201)
    await end(world, first)
    expect((await third).status).toBe(201)
  })
})

describe('the limits of the cluster', () => {
  test('bound all jobs together', async () => {
    const world = await World.start({ quota: { jobs: 1 } })
    const first = await world.register(small)
    const { body } = await world.register(small)
    expect(body.error.message).toContain('Of the cluster, jobs is limited to 1')
    await end(world, first)
    expect((await world.register(small)).status).toBe(201)
  })

  test('bound the price of the nodes that run, warm ones among them', async () => {
    const world = await World.start({ quota: { pricePerHour: 0.15 }, warmNodes: 2 })
    expect(world.fleet.started).toBe(1)
    await world.register(large)
    const { status } = await world.register(large)
    expect(status).toBe(409)
    expect(world.fleet.started).toBe(1)
  })
})

test('of ten thousand registrations at once all are answered, most with 429 and when to come again', async () => {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  const counts = new Map<number, number>()
  const total = 10_000
  let sent = 0
  let answered = 0
  const lane = async (): Promise<void> => {
    while (sent++ < total) {
      const { status, headers } = await world.register({ ...large, waitSeconds: 1 })
      answered++
      counts.set(status, (counts.get(status) ?? 0) + 1)
      expect(headers.get('retry-after')).toBe(status === 429 ? '1' : null)
    }
  }
  const lanes = Promise.all(Array.from({ length: REGISTRATIONS_OF_KEY_MAX + 200 }, lane))
  // Registrations within the limit wait; the others are told at once to retry.
  await eventually(() => expect(answered).toBe(total - REGISTRATIONS_OF_KEY_MAX), 100_000)
  await untilWaiting(world, REGISTRATIONS_OF_KEY_MAX)
  await clock.advance(1_000)
  await lanes
  expect(Object.fromEntries(counts)).toEqual({ 201: 2, 409: REGISTRATIONS_OF_KEY_MAX, 429: 8_998 })
  expect((await world.ask('/v1/cluster')).body).toMatchObject({ waiting: 0, jobs: { active: 2 } })
})
