import { describe, expect, test } from 'vitest'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { verifiedClaims } from '../../fixture/verified-claims.ts'
import { FullDisk } from '../support/full-disk.ts'
import { eventually, MIB, smallClass, World } from '../support/world.ts'

describe('a registration', () => {
  test('answers with an active job, its reservation and a ticket for its functions', async () => {
    const world = await World.start()
    const hints = { capacityBytes: 32 * MIB, peakBytesPerSecond: 5_000_000 }
    const { status, body } = await world.register({ name: 'word count', hints, leaseSeconds: 60 })
    expect(status).toBe(201)
    const ram = 32 * MIB * (1 + 1 / 16) + MIB
    const [node] = await world.nodes()
    expect(body).toMatchObject({
      name: 'word count',
      state: 'active',
      hints,
      leaseSeconds: 60,
      reservation: {
        latencyClass: 'ram',
        bytes: { ram, ssd: 0, s3: 0 },
        bytesPerSecond: 5_000_000,
        nodes: [{ node: node?.id, bytes: { ram, ssd: 0, s3: 0 }, bytesPerSecond: 5_000_000 }],
      },
      usage: { objects: 0, bytes: { ram: 0, ssd: 0, s3: 0 }, bytesPerSecond: 0 },
    })
    expect(body.id).toMatch(/^j-[a-z2-7]{28}$/)
    expect(Date.parse(body.leaseExpiresAt) - Date.now()).toBeGreaterThan(55_000)
    const ticket = parseTicket(body.ticket)
    expect(ticket).toMatchObject({ job: body.id, metadata: 'm-1:7401', placement: { epoch: 1 } })
    const claims = verifiedClaims(Buffer.alloc(32, 7), Buffer.from(ticket.token), Date.now())
    expect(claims).toMatchObject({ job: body.id, read: true, write: true })
  })

  test('counts what it reserved on the node, until the job is ended', async () => {
    const world = await World.start({ warmNodes: 1 })
    const { body } = await world.register({ hints: { capacityBytes: 32 * MIB } })
    expect((await world.nodes())[0]?.tiers.ram.reservedBytes).toBe(body.reservation.bytes.ram)
    await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    expect((await world.nodes())[0]?.tiers.ram.reservedBytes).toBe(0)
  })

  test('tells metadata of shares that are weighed by their bytes', async () => {
    const world = await World.start()
    const { body } = await world.register({ hints: { capacityBytes: 300 * MIB, peakBytesPerSecond: 100 } })
    const shares = world.metadata.shares.get(body.id) ?? []
    expect(shares.map(({ weight }) => weight)).toEqual([256, 64])
    expect(shares.map(({ ramBytes }) => ramBytes)).toEqual([
      smallClass.ramBytes,
      body.reservation.bytes.ram - smallClass.ramBytes,
    ])
  })

  test('uses the room of nodes that run before it starts another', async () => {
    const world = await World.start()
    for (let count = 0; count < 4; count++) await world.register()
    expect(world.fleet.started).toBe(1)
  })

  test('never reserves the same bytes twice, however many come at once', async () => {
    const world = await World.start()
    const hints = { capacityBytes: 50 * MIB, peakBytesPerSecond: 1 }
    const replies = await Promise.all(Array.from({ length: 12 }, () => world.register({ hints })))
    const granted = replies.filter(({ status }) => status === 201)
    expect(replies.filter(({ status }) => status === 409).length).toBe(12 - granted.length)
    expect(granted.length).toBe(9)
    for (const { tiers } of await world.nodes()) {
      expect(tiers.ram.reservedBytes).toBeLessThanOrEqual(smallClass.ramBytes)
    }
  })

  test('beyond what is free is refused with what was asked, what is free and what to do', async () => {
    const world = await World.start()
    await world.register({ hints: { capacityBytes: 60 * MIB, peakBytesPerSecond: 7 } })
    const hints = { capacityBytes: 460 * MIB, peakBytesPerSecond: 5 }
    const { status, body } = await world.register({ hints })
    expect(status).toBe(409)
    expect(body.error.code).toBe('RESERVATION_REFUSED')
    const asked = 460 * MIB * (1 + 1 / 16) + MIB
    const free = 2 * smallClass.ramBytes - (60 * MIB * (1 + 1 / 16) + MIB)
    for (const number of [asked, free, 2 * smallClass.ramBytes, 2e9 - 7]) {
      expect(body.error.message).toContain(String(number))
    }
    expect(body.error.message).toContain('Ask for less')
    expect((await world.ask('/v1/jobs')).body.jobs.length).toBe(1)
  })

  test('waits for a node that takes its time', async () => {
    const world = await World.start({ nodesReport: false })
    const registered = world.register()
    await eventually(() => expect(world.fleet.running.size).toBe(1))
    expect((await world.ask('/v1/jobs')).body.jobs[0].state).toBe('registering')
    const [node] = await world.nodes()
    expect(node).toMatchObject({ state: 'starting', address: '' })
    expect(node?.tiers.ram.reservedBytes).toBeGreaterThan(0)
    await world.report([...world.fleet.running.keys()][0] ?? '')
    expect((await registered).status).toBe(201)
  })

  test('starts another node in the place of one that exits before it reports', async () => {
    const world = await World.start({ nodesReport: false })
    world.fleet.onStart = (node) => {
      setImmediate(() => {
        if (world.fleet.started === 1) world.fleet.kill(node, 'exit code 1')
        else void world.report(node)
      })
    }
    expect((await world.register()).status).toBe(201)
    expect(world.fleet.started).toBe(2)
  })

  test('fails, and leaves no reservation behind, where every node exits as it starts', async () => {
    const world = await World.start({ nodesReport: false })
    world.fleet.onStart = (node) => void setImmediate(() => world.fleet.kill(node, 'exit code 1'))
    const { status, body } = await world.register()
    expect(status).toBe(503)
    expect(body.error).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('as they start'),
    })
    await eventually(async () => expect((await world.ask('/v1/jobs')).body.jobs).toEqual([]))
    expect((await world.ask('/v1/cluster')).body.totals.bytes.ram.reserved).toBe(0)
  })

  test('that metadata cannot take is undone there too', async () => {
    const world = await World.start()
    const thrown = new Error("ENOENT: no such file or directory, open '/var/lib/mayfly/secret'")
    world.metadata.createJob = () => Promise.reject(thrown)
    const { status, body, text } = await world.register()
    expect(status).toBe(500)
    expect(body).toEqual({
      error: { code: 'INTERNAL', message: expect.stringMatching(/fault controller\/\d+/) },
    })
    expect(text).not.toMatch(/ENOENT|no such file|\/var\/lib/)
    await eventually(() =>
      expect(world.metadata.asked.some((asked) => asked.startsWith('end j-'))).toBe(true),
    )
    await eventually(async () => expect((await world.ask('/v1/jobs')).body.jobs).toEqual([]))
  })
})

describe('an Idempotency-Key', () => {
  test('gives the same job for the same request, also at the same time', async () => {
    const world = await World.start()
    const key = { 'idempotency-key': 'once' }
    const replies = await Promise.all([1, 2, 3].map(() => world.register({ leaseSeconds: 9 }, key)))
    const again = await world.register({ leaseSeconds: 9 }, key)
    expect(new Set([...replies, again].map(({ body }) => body.id)).size).toBe(1)
    expect([...replies, again].map(({ status }) => status)).toEqual([201, 201, 201, 201])
    expect((await world.ask('/v1/jobs')).body.jobs.length).toBe(1)
  })

  test('gives the same job also after the controller was restarted', async () => {
    const world = await World.start()
    const key = { 'idempotency-key': 'once' }
    const before = await world.register({}, key)
    await world.stop()
    await world.startController()
    expect((await world.register({}, key)).body.id).toBe(before.body.id)
  })

  test('does not care for the order in which fields come', async () => {
    const world = await World.start()
    const key = { 'idempotency-key': 'once' }
    const one = await world.register({ hints: { capacityBytes: 9, maxFunctions: 1 } }, key)
    const other = await world.register({ hints: { maxFunctions: 1, capacityBytes: 9 } }, key)
    expect(other.body.id).toBe(one.body.id)
  })

  test('is refused for another request', async () => {
    const world = await World.start()
    const key = { 'idempotency-key': 'once' }
    await world.register({}, key)
    const { status, body } = await world.register({ name: 'other' }, key)
    expect(status).toBe(400)
    expect(body.error).toMatchObject({ code: 'BAD_REQUEST', field: 'Idempotency-Key' })
  })

  test('may be used again after the registration failed', async () => {
    const world = await World.start()
    const key = { 'idempotency-key': 'once' }
    const create = world.metadata.createJob
    world.metadata.createJob = () => Promise.reject(new Error('a bug'))
    expect((await world.register({}, key)).status).toBe(500)
    world.metadata.createJob = create
    expect((await world.register({}, key)).status).toBe(201)
  })

  test('of a job that has ended says so', async () => {
    const world = await World.start()
    const key = { 'idempotency-key': 'once' }
    const { body } = await world.register({}, key)
    await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    expect((await world.register({}, key)).body.error.code).toBe('JOB_ENDED')
  })
})

test('a registration that failed is not answered with the job that is being rolled back, when it is repeated', async () => {
  const world = await World.start()
  await world.stop()
  const disk = new FullDisk()
  disk.refused.add('putJobs')
  await world.startController({ life: disk.life })
  const ask = () => world.register({}, { 'idempotency-key': 'k' })
  for (let times = 0; times < 2; times++) {
    const { status, body } = await ask()
    expect([status, body.error?.code]).toEqual([503, 'UNAVAILABLE'])
  }
  disk.refused.clear()
  await eventually(async () => {
    const { status, body } = await ask()
    expect([status, body.state]).toEqual([201, 'active'])
  })
})
