import { describe, expect, test } from 'vitest'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { FullDisk } from '../support/full-disk.ts'
import { eventually, MIB, World } from '../support/world.ts'

describe('a job', () => {
  test('is answered with a fresh ticket while it lives, and without one in lists', async () => {
    const world = await World.start()
    const { body } = await world.register()
    const read = await world.ask(`/v1/jobs/${body.id}`)
    expect(parseTicket(read.body.ticket)).toMatchObject({ job: body.id, placement: { epoch: 1 } })
    const list = await world.ask('/v1/jobs')
    expect(list.body.jobs.map(({ id }: { id: string }) => id)).toEqual([body.id])
    expect(list.body.jobs[0].ticket).toBeUndefined()
  })

  test('has a ticket also while metadata is away', async () => {
    const world = await World.start()
    const { body } = await world.register()
    world.metadata.reachable = false
    const { status, body: read } = await world.ask(`/v1/jobs/${body.id}`)
    expect(status).toBe(200)
    expect(parseTicket(read.ticket).metadata).toBe('m-1:7401')
  })

  test('shows what its nodes say that it uses', async () => {
    const world = await World.start()
    const { body } = await world.register({ hints: { capacityBytes: 300 * MIB, peakBytesPerSecond: 100 } })
    const [first = '', second = ''] = world.fleet.running.keys()
    const usage = { id: body.id, objects: 3, bytes: { ram: 100 }, bytesPerSecond: 7.4 }
    await world.report(first, [usage, { id: 'j-other', objects: 9 }])
    await world.report(second, [usage])
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.usage).toMatchObject({
      objects: 6,
      bytes: { ram: 200, ssd: 0, s3: 0 },
      bytesPerSecond: 15,
    })
  })

  test('ends once, and stays readable as ended', async () => {
    const world = await World.start()
    const { body } = await world.register()
    const first = await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    const second = await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    expect(first.status).toBe(200)
    expect(first.body).toMatchObject({
      state: 'ended',
      endReason: 'deregistered',
      reservation: { nodes: [] },
    })
    expect(second.body).toEqual(first.body)
    expect(world.metadata.asked.filter((asked) => asked.startsWith('end')).length).toBe(1)
    const read = await world.ask(`/v1/jobs/${body.id}`)
    expect(read.body).toMatchObject({ state: 'ended' })
    expect(read.body.ticket).toBeUndefined()
    expect((await world.ask('/v1/jobs')).body.jobs).toEqual([])
    const renewed = await world.ask(`/v1/jobs/${body.id}/renew`, { method: 'POST' })
    expect([renewed.status, renewed.body.error.code]).toEqual([410, 'JOB_ENDED'])
  })

  test('keeps its reservation until metadata has freed its bytes, however long that takes', async () => {
    const world = await World.start({ warmNodes: 1 })
    const { body } = await world.register()
    world.metadata.reachable = false
    const ended = world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    await eventually(async () => expect((await world.ask('/v1/jobs')).body.jobs[0].state).toBe('ending'))
    expect((await world.nodes())[0]?.tiers.ram.reservedBytes).toBe(body.reservation.bytes.ram)
    world.metadata.reachable = true
    expect((await ended).body.state).toBe('ended')
    expect((await world.nodes())[0]?.tiers.ram.reservedBytes).toBe(0)
  })

  test('leaves no node running beyond the warm ones', async () => {
    const world = await World.start({ warmNodes: 1 })
    const { body } = await world.register({ hints: { capacityBytes: 300 * MIB, peakBytesPerSecond: 100 } })
    expect(world.fleet.running.size).toBe(2)
    await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    await eventually(async () => expect((await world.nodes()).map(({ state }) => state)).toEqual(['active']))
    expect(world.fleet.running.size).toBe(1)
  })
})

describe('a changed hint', () => {
  const capacity = (mib: number) => ({ hints: { capacityBytes: mib * MIB, peakBytesPerSecond: 1000 } })

  test('grows and shrinks the reservation on the nodes that the job has', async () => {
    const world = await World.start()
    const { body } = await world.register(capacity(32))
    const grown = await world.ask(`/v1/jobs/${body.id}`, {
      method: 'PATCH',
      body: { hints: { capacityBytes: 96 * MIB } },
    })
    expect(grown.status).toBe(200)
    expect(grown.body).toMatchObject({
      ...{ hints: { capacityBytes: 96 * MIB, peakBytesPerSecond: 1000 } },
      reservation: { bytes: { ram: 103 * MIB }, bytesPerSecond: 1000 },
    })
    expect(world.metadata.shares.get(body.id)?.[0]?.ramBytes).toBe(103 * MIB)
    const shrunk = await world.ask(`/v1/jobs/${body.id}`, { method: 'PATCH', body: capacity(16) })
    expect(shrunk.body.reservation.bytes.ram).toBe(18 * MIB)
    expect((await world.nodes())[0]?.tiers.ram.reservedBytes).toBe(18 * MIB)
  })

  test('takes what does not fit where the job is from other nodes, and starts them', async () => {
    const world = await World.start()
    const { body } = await world.register(capacity(32))
    await world.register(capacity(160))
    const grown = await world.ask(`/v1/jobs/${body.id}`, { method: 'PATCH', body: capacity(128) })
    expect(grown.status).toBe(200)
    expect(world.fleet.started).toBe(2)
    const { nodes, bytes, bytesPerSecond } = grown.body.reservation
    expect([bytes.ram, bytesPerSecond]).toEqual([137 * MIB, 1000])
    const ram = nodes.map((share: { bytes: { ram: number } }) => share.bytes.ram)
    expect(ram).toEqual([(256 - 171) * MIB, (137 - 85) * MIB])
    expect(world.metadata.shares.get(body.id)?.map(({ weight }) => weight)).toEqual([85, 52])
    const shrunk = await world.ask(`/v1/jobs/${body.id}`, { method: 'PATCH', body: capacity(16) })
    expect(shrunk.body.reservation.bytes.ram).toBe(18 * MIB)
    expect(shrunk.body.reservation.nodes.length).toBe(2)
  })

  test('that cannot have its new node changes nothing', async () => {
    const world = await World.start()
    const { body } = await world.register(capacity(32))
    world.fleet.onStart = (node) => void setImmediate(() => world.fleet.kill(node, 'exit code 1'))
    const { status } = await world.ask(`/v1/jobs/${body.id}`, { method: 'PATCH', body: capacity(300) })
    expect(status).toBe(503)
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.reservation).toEqual(body.reservation)
  })

  test('that does not fit is refused with numbers and changes nothing', async () => {
    const world = await World.start()
    const { body } = await world.register(capacity(32))
    await world.register(capacity(192))
    const { status, body: refused } = await world.ask(`/v1/jobs/${body.id}`, {
      method: 'PATCH',
      body: capacity(400),
    })
    expect(status).toBe(409)
    expect(refused.error.code).toBe('RESERVATION_REFUSED')
    expect(refused.error.message).toContain(`${426 * MIB} bytes`)
    expect(refused.error.message).toContain(`${(2 * 256 - 35 - 205) * MIB} bytes`)
    expect(world.fleet.started).toBe(1)
    const read = await world.ask(`/v1/jobs/${body.id}`)
    expect(read.body).toMatchObject({ ...capacity(32), reservation: body.reservation })
  })

  test('that metadata does not take changes nothing', async () => {
    const world = await World.start()
    const { body } = await world.register(capacity(32))
    world.metadata.shareJob = () => Promise.reject(new Error('a bug'))
    const { status } = await world.ask(`/v1/jobs/${body.id}`, { method: 'PATCH', body: capacity(64) })
    expect(status).toBe(500)
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.reservation).toEqual(body.reservation)
  })

  test('that cannot be written down changes nothing, on the nodes neither', async () => {
    const world = await World.start()
    await world.stop()
    const disk = new FullDisk()
    await world.startController({ life: disk.life })
    const { body } = await world.register(capacity(32))
    world.metadata.onShared = () => void disk.refused.add('putJobs')
    const { status } = await world.ask(`/v1/jobs/${body.id}`, { method: 'PATCH', body: capacity(64) })
    expect(status).toBe(503)
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.reservation).toEqual(body.reservation)
    disk.refused.clear()
    const { ram } = body.reservation.bytes
    await eventually(() => expect(world.metadata.shares.get(body.id)?.[0]?.ramBytes).toBe(ram))
    expect((await world.nodes())[0]?.tiers.ram.reservedBytes).toBe(ram)
  })

  test('of the wrong type is refused by its name', async () => {
    const world = await World.start()
    const { body } = await world.register()
    const patch = (body: unknown) => ({ method: 'PATCH', body })
    const negative = await world.ask(`/v1/jobs/${body.id}`, patch({ hints: { maxFunctions: -1 } }))
    expect(negative.body.error).toMatchObject({ code: 'BAD_REQUEST', field: 'hints.maxFunctions' })
    const unknown = await world.ask(`/v1/jobs/${body.id}`, patch({ name: 'x', hints: {} }))
    expect(unknown.body.error).toMatchObject({ code: 'BAD_REQUEST', field: 'name' })
  })
})
