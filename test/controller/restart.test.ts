import { describe, expect, test } from 'vitest'
import { eventually, MIB, World } from './support/world.ts'

const small = { hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: 1000 } }

describe('a controller that starts again', () => {
  test('has its active jobs, nodes and reservations, and knows their tickets', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    const before = await world.nodes()
    await world.stop()
    await world.startController()
    const read = await world.ask(`/v1/jobs/${body.id}`)
    expect(read.body).toMatchObject({ state: 'active', reservation: body.reservation })
    expect(read.body.ticket).toMatch(/^mayfly2\./)
    expect(await world.nodes()).toMatchObject(before.map(({ id, state, tiers }) => ({ id, state, tiers })))
    expect(world.fleet.started).toBe(1)
  })

  test('tells metadata again what each active job has', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    await world.stop()
    world.metadata.asked.length = 0
    await world.startController()
    await eventually(() => expect(world.metadata.asked).toContain(`share ${body.id}`))
  })

  test('rolls back a registration that was cut off, and frees its key', async () => {
    const world = await World.start({ nodesReport: false })
    const key = { 'idempotency-key': 'once' }
    const cutOff = world.register(small, key).catch(() => null)
    await eventually(async () => expect((await world.ask('/v1/jobs')).body.jobs.length).toBe(1))
    const [job] = (await world.ask('/v1/jobs')).body.jobs
    const { createJob } = world.metadata
    world.metadata.createJob = () => new Promise(() => undefined)
    world.fleet.onStart = () => undefined
    await world.stop()
    await cutOff
    world.metadata.createJob = createJob
    world.fleet.onStart = (node) => void setImmediate(() => void world.report(node))
    await world.startController()
    await eventually(async () => expect((await world.ask(`/v1/jobs/${job.id}`)).body.state).toBe('ended'))
    expect((await world.ask('/v1/cluster')).body.totals.bytes.ram.reserved).toBe(0)
    const again = await world.register(small, key)
    expect(again.status).toBe(201)
    expect(again.body.id).not.toBe(job.id)
  })

  test('carries on with a job that was ending', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    world.metadata.reachable = false
    const ending = world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' }).catch(() => null)
    await eventually(async () => expect((await world.ask('/v1/jobs')).body.jobs[0].state).toBe('ending'))
    await world.stop()
    await ending
    world.metadata.reachable = true
    await world.startController()
    await eventually(async () => {
      expect((await world.ask(`/v1/jobs/${body.id}`)).body).toMatchObject({
        state: 'ended',
        endReason: 'deregistered',
      })
    })
  })

  test('still knows a job that had ended', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    const ended = await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    await world.stop()
    await world.startController()
    expect((await world.ask(`/v1/jobs/${body.id}`)).body).toEqual(ended.body)
  })

  test('takes nodes that died meanwhile for dead, and gives their jobs others', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    const [dead = ''] = world.fleet.running.keys()
    await world.stop()
    world.fleet.kill(dead)
    await world.startController()
    await eventually(() => expect(world.metadata.asked).toContain(`died ${dead}`))
    await eventually(() => {
      expect(world.metadata.shares.get(body.id)?.map(({ node }) => node)).toEqual([
        ...world.fleet.running.keys(),
      ])
    })
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.reservation.bytes).toEqual(body.reservation.bytes)
  })

  test('starts no node in the place of ones that run', async () => {
    const world = await World.start({ warmNodes: 1 })
    await eventually(async () => expect((await world.nodes())[0]?.state).toBe('active'))
    const [dead = ''] = world.fleet.running.keys()
    await world.register(small)
    world.fleet.kill(dead)
    // A node is kept warm beside the job's node. The lost node does not count towards the maximum of two.
    await eventually(async () => {
      expect((await world.nodes()).map(({ state }) => state).sort()).toEqual(['active', 'active', 'lost'])
    })
    const { started } = world.fleet
    await world.stop()
    await world.startController()
    await world.stop()
    await world.startController()
    expect(world.fleet.running.size).toBe(2)
    expect(world.fleet.started).toBe(started)
  })

  test('stops nodes that it does not know', async () => {
    const world = await World.start()
    await world.stop()
    world.fleet.running.set('n-stray', { node: 'n-stray', pid: 1, class: 'small' })
    await world.startController()
    await eventually(() => expect(world.fleet.running.size).toBe(0))
  })

  test('ends jobs that only metadata knows', async () => {
    const world = await World.start()
    await world.stop()
    world.metadata.shares.set('j-stray', [])
    await world.startController()
    await eventually(() => expect([...world.metadata.shares.keys()]).toEqual([]))
  })

  test('ends a job that metadata knows no more, as nobody can find its data', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    await world.stop()
    world.metadata.shares.clear()
    await world.startController()
    await eventually(async () => {
      expect((await world.ask(`/v1/jobs/${body.id}`)).body).toMatchObject({
        state: 'ended',
        endReason: 'failed',
      })
    })
  })

  test('waits with a ticket until metadata has reported', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    await world.stop()
    await world.startController({ metadataReports: false })
    const read = world.ask(`/v1/jobs/${body.id}`)
    setTimeout(() => void world.reportMetadata(), 50)
    expect((await read).body.ticket).toMatch(/^mayfly2\./)
  })

  test('fails with a clear line where its port is taken', async () => {
    const world = await World.start()
    const port = Number(new URL(world.url).port)
    const second = World.start({ port })
    await expect(second).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`)
  })
})
