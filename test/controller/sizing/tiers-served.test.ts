import { describe, expect, test } from 'vitest'
import { eventually, MIB, smallClass, World, type WorldOptions } from '../support/world.ts'

const ram = { capacityBytes: smallClass.ramBytes, usedBytes: 0 }
const ssd = { capacityBytes: smallClass.ssdBytes, usedBytes: 0 }
/** 153 MiB with keys and index, of which 17 MiB take the same fraction of a node's RAM as 136 MiB of its SSD. */
const hints = { capacityBytes: 143 * MIB, peakBytesPerSecond: 1, latencySensitive: false }

/** Starts a world with a node that has reported. */
async function start(options: WorldOptions): Promise<World> {
  const world = await World.start({ warmNodes: 1, ...options })
  await eventually(async () => expect((await world.nodes())[0]?.state).toBe('active'))
  return world
}

describe('where nodes serve RAM alone', () => {
  test('no job gets anything else, whatever SSD their class has', async () => {
    const world = await start({})
    const { body } = await world.register({ hints })
    expect(body.reservation).toMatchObject({ latencyClass: 'ram', bytes: { ssd: 0, s3: 0 } })
    expect(body.sizing.latencyClass.because).toBe(
      'hint latencySensitive false: the cheapest, of ram (p99 1 ms)',
    )
    expect(body.sizing.mixes).toHaveLength(1)
    const cluster = (await world.ask('/v1/cluster')).body
    expect(cluster.totals.bytes.ssd).toMatchObject({ limit: 0, capacity: 0, free: 0 })
    const { status, body: refused } = await world.register({ hints: { ...hints, capacityBytes: 600 * MIB } })
    expect(status).toBe(409)
    expect(refused.error.message).toContain(
      'bytes/s on ram; all nodes that there may be have 536870912 bytes',
    )
  })

  test('a latency that RAM does not meet is refused with what nodes serve', async () => {
    const world = await start({})
    const { status, body } = await world.register({ hints: { latencyMs: 0.5 } })
    expect([status, body.error.code]).toEqual([409, 'RESERVATION_REFUSED'])
    expect(body.error.message).toContain('latencyMs 0.5: storage nodes serve ram (p99 1 ms)')
  })
})

describe('where nodes report an SSD', () => {
  test('a job that is not latency sensitive gets the cheapest split, with the price of each', async () => {
    const world = await start({ tiers: { ram, ssd } })
    const { body } = await world.register({ hints })
    const { latencyClass, bytes, nodes } = body.reservation
    expect(latencyClass).toBe('ram')
    expect(bytes.ram + bytes.ssd).toBe(Math.ceil((143 * MIB * 17) / 16 + MIB))
    expect(bytes.ssd / bytes.ram).toBeCloseTo(8, 4)
    expect(nodes).toEqual([{ node: nodes[0].node, bytes, bytesPerSecond: 1 }])
    const [taken, ...others] = body.sizing.mixes
    expect(taken).toMatchObject({ nodeClasses: ['small'], bytes })
    expect(taken.pricePerHour).toBeCloseTo(body.pricePerHour, 9)
    expect(others[0].pricePerHour).toBeGreaterThan(taken.pricePerHour)
    const [node] = (await world.ask('/v1/nodes')).body.nodes
    expect(node.tiers.ssd).toMatchObject({ ...ssd, reservedBytes: bytes.ssd })
    const { totals } = (await world.ask('/v1/cluster')).body
    expect(totals.bytes.ssd).toMatchObject({
      limit: 2 * smallClass.ssdBytes,
      capacity: smallClass.ssdBytes,
      asked: bytes.ssd,
      reserved: bytes.ssd,
      free: smallClass.ssdBytes - bytes.ssd,
    })
    await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    expect((await world.ask('/v1/nodes')).body.nodes[0].tiers.ssd.reservedBytes).toBe(0)
  })

  test('one with latencyMs below that of the SSD lies in RAM, and moves when it is changed', async () => {
    const world = await start({ tiers: { ram, ssd } })
    const { body } = await world.register({ hints: { ...hints, latencyMs: 6.9 } })
    expect(body.reservation.bytes.ssd).toBe(0)
    const patch = { method: 'PATCH', body: { hints: { latencyMs: 7 } } }
    const changed = (await world.ask(`/v1/jobs/${body.id}`, patch)).body
    expect(changed.reservation.bytes.ssd).toBeGreaterThan(120 * MIB)
    expect(changed.reservation.bytes.ram).toBeLessThan(18 * MIB)
    const back = (await world.ask(`/v1/jobs/${body.id}`, { ...patch, body: { hints: { latencyMs: 1 } } }))
      .body
    expect(back.reservation.bytes).toEqual(body.reservation.bytes)
  })

  test('what has no room in RAM spills, and what has none at all is refused with the numbers of both', async () => {
    const world = await start({ tiers: { ram, ssd } })
    const spilling = { capacityBytes: 800 * MIB, peakBytesPerSecond: 1 }
    const { body } = await world.register({ hints: spilling })
    expect(body.reservation.bytes).toEqual({ ram: 512 * MIB, ssd: 339 * MIB, s3: 0 })
    expect(body.reservation.nodes).toHaveLength(2)
    const { status, body: refused } = await world.register({ hints: spilling })
    expect(status).toBe(409)
    expect(refused.error.message).toContain(
      `Asked for ${512 * MIB} bytes of RAM, ${339 * MIB} of SSD and 1 bytes/s; 0 bytes of RAM, ${(4096 - 339) * MIB} of SSD`,
    )
  })

  test('that is known after a restart of the controller before any of them has reported again', async () => {
    const world = await start({ tiers: { ram, ssd } })
    const before = await world.register({ hints })
    await world.stop()
    await world.startController()
    const after = await world.register({ hints })
    expect(after.body.reservation.bytes).toEqual(before.body.reservation.bytes)
    expect((await world.ask(`/v1/jobs/${before.body.id}`)).body.sizing).toEqual(before.body.sizing)
  })

  test('a node without one takes no job that needs it', async () => {
    const world = await World.start({ nodesReport: false, warmNodes: 2 })
    const [without = '', node = ''] = world.fleet.running.keys()
    await world.report(without, [], { ram })
    await world.report(node, [], { ram, ssd })
    const { body } = await world.register({ hints })
    expect(body.reservation.nodes).toMatchObject([{ node }])
    const inRam = await world.register({ hints: { ...hints, latencySensitive: true } })
    expect(inRam.body.reservation.bytes.ssd).toBe(0)
  })
})

describe('where nodes report S3', () => {
  test('a job may lie there as far as no node bounds it, and pays for it', async () => {
    const s3 = { capacityBytes: 0, usedBytes: 0 }
    const world = await start({ tiers: { ram, s3 } })
    const large = { capacityBytes: 2048 * MIB, peakBytesPerSecond: 1_000, latencySensitive: false }
    const { status, body } = await world.register({ hints: large })
    expect(status).toBe(201)
    const { bytes } = body.reservation
    expect(bytes).toEqual({
      ram: Math.ceil((2177 * MIB) / 17),
      ssd: 0,
      s3: Math.floor((2177 * MIB * 16) / 17),
    })
    expect(body.reservation.latencyClass).toBe('s3')
    expect(body.pricePerHour).toBeCloseTo(body.sizing.mixes[0].pricePerHour, 9)
    expect(body.sizing.mixes[0].s3PricePerHour).toBeGreaterThan(0)
  })
})

describe('where no node has reported yet, the config tells what nodes serve', () => {
  test('a first job above RAM lies on S3', async () => {
    const s3 = {
      endpoint: 'http://127.0.0.1:9',
      region: 'us-east-1',
      bucket: 'mayfly',
      accessKeyId: 'key',
      secretAccessKey: 'secret',
    }
    const world = await World.start({
      warmNodes: 0,
      s3,
      tiers: { ram, ssd, s3: { capacityBytes: 0, usedBytes: 0 } },
    })
    expect(await world.nodes()).toEqual([])
    const { status, body } = await world.register({
      hints: { capacityBytes: 6144 * MIB, peakBytesPerSecond: 1_000 },
    })
    expect([status, body.error]).toEqual([201, undefined])
    expect(body.reservation.bytes.s3).toBeGreaterThan(0)
  })

  test('a first job above RAM lies on SSD', async () => {
    const world = await World.start({ warmNodes: 0, tiers: { ram, ssd } })
    const { status, body } = await world.register({
      hints: { capacityBytes: 1024 * MIB, peakBytesPerSecond: 1_000 },
    })
    expect([status, body.error]).toEqual([201, undefined])
    expect(body.reservation.bytes.ssd).toBeGreaterThan(0)
  })
})
