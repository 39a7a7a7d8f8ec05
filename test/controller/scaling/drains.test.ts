import { describe, expect, test } from 'vitest'
import { NODE_SILENCE_MS_MAX } from '../../../controller/limits.ts'
import { FullDisk } from '../support/full-disk.ts'
import { settle, VirtualClock } from '../support/virtual-clock.ts'
import { eventually, MIB, type Reply, smallClass, World, type WorldOptions } from '../support/world.ts'

const small = { hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: 1000 } }
const three = { classes: [{ ...smallClass, nodesMax: 3 }] }

function drain(world: World, node: string): Promise<Reply> {
  return world.ask(`/v1/nodes/${node}/drain`, { method: 'POST' })
}

async function reservation(world: World, job: string) {
  return (await world.ask(`/v1/jobs/${job}`)).body.reservation
}

const nodesOf = (reservation: { nodes: { node: string }[] }): string[] =>
  reservation.nodes.map(({ node }) => node)

/** One job on one node, which drains; resolves once metadata has assigned the job to another node. */
async function begin(options: WorldOptions = {}) {
  const world = await World.start({ ...three, ...options })
  const { body: job } = await world.register(small)
  const [node = ''] = world.fleet.running.keys()
  const holds = [{ id: job.id, objects: 7, bytes: { ram: 900 } }]
  await world.report(node, holds)
  const begun = await drain(world, node)
  await eventually(() => expect(world.metadata.shares.get(job.id)?.length).toBe(2))
  const other = world.metadata.shares.get(job.id)?.find((share) => share.node !== node)?.node ?? ''
  return { world, job, node, other, holds, begun }
}

describe('a drain', () => {
  test('that cannot be written down leaves metadata the shares that the job has', async () => {
    const world = await World.start(three)
    await world.stop()
    const disk = new FullDisk()
    await world.startController({ life: disk.life })
    const { body: job } = await world.register(small)
    const [node = ''] = world.fleet.running.keys()
    await world.report(node)
    disk.refused.add('putDraining')
    // A metadata server that returns meanwhile is sent the shares that are not written down.
    disk.onRefused = async () => {
      await world.heartbeat('metadata/m-1', { address: 'm-1:7402', generation: 1, cpuCores: 0, tasks: [] })
      await eventually(() => expect(world.metadata.shares.get(job.id)?.length).toBe(2))
    }
    expect((await drain(world, node)).status).toBe(503)
    await eventually(() =>
      expect(world.metadata.shares.get(job.id)?.map((share) => share.node)).toEqual([node]),
    )
    expect(nodesOf(await reservation(world, job.id))).toEqual([node])
  })

  test('is answered at once with the node as it drains', async () => {
    const { begun, node } = await begin()
    expect(begun.status).toBe(202)
    expect(begun.body).toMatchObject({ id: node, state: 'draining', left: { jobs: 1, objects: 7 } })
  })

  test('gives each job as much elsewhere, and the node no more slots, while its bytes there stay reserved', async () => {
    const { world, job, node, other } = await begin()
    const { ram } = job.reservation.bytes
    expect(world.metadata.shares.get(job.id)).toMatchObject([
      { node, weight: 0, ramBytes: ram },
      { node: other, weight: ram / MIB, ramBytes: ram },
    ])
    for (const { tiers } of await world.nodes()) expect(tiers.ram.reservedBytes).toBe(ram)
  })

  test('ends when two reports in a row name no job: its shares go, and its process stops', async () => {
    const { world, job, node, other, holds } = await begin()
    await world.report(node)
    await world.report(node, holds)
    await world.report(node)
    expect(world.fleet.running.has(node)).toBe(true)
    await world.report(node)
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
    expect(world.metadata.shares.get(job.id)?.map((share) => share.node)).toEqual([other])
    expect((await reservation(world, job.id)).bytes).toEqual(job.reservation.bytes)
    expect((await world.nodes()).map(({ id }) => id)).toEqual([other])
    const { text } = await world.ask('/metrics')
    for (const type of ['node.drained', 'node.stopped'])
      expect(text).toContain(`mayfly_events_total{type="${type}"} 1`)
    expect(text).toContain('mayfly_events_total{type="node.lost"} 0')
  })

  test('does not end while metadata has slots on the node, whatever the node says', async () => {
    const { world, job, node } = await begin()
    world.metadata.stuck.add(node)
    for (let report = 0; report < 4; report++) await world.report(node)
    await settle()
    expect(world.fleet.running.has(node)).toBe(true)
    expect(nodesOf(await reservation(world, job.id))).toContain(node)
    world.metadata.stuck.clear()
    await world.report(node)
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
  })

  test('tells each second what is left', async () => {
    const clock = new VirtualClock()
    const { world, node, holds } = await begin({ clock })
    await world.report(node, holds)
    await clock.advance(3_000)
    const { text } = await world.ask('/metrics')
    expect(text).toContain('mayfly_events_total{type="node.draining"} 4')
  })

  test('is begun once, however often it is asked for', async () => {
    const { world, node } = await begin()
    const again = await Promise.all([drain(world, node), drain(world, node)])
    expect(again.map(({ status, body }) => [status, body.state])).toEqual(Array(2).fill([202, 'draining']))
    expect(world.fleet.started).toBe(2)
  })

  test('of a node that holds nothing stops it at once', async () => {
    const world = await World.start({ warmNodes: 1 })
    await eventually(async () => expect((await world.nodes())[0]?.state).toBe('active'))
    const [node = ''] = world.fleet.running.keys()
    expect((await drain(world, node)).status).toBe(202)
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
  })

  test('of a node that is not there, that starts or that is lost is refused', async () => {
    const world = await World.start({ nodesReport: false, warmNodes: 1 })
    expect((await drain(world, 'n-none')).body.error.code).toBe('NODE_NOT_FOUND')
    const [node = ''] = world.fleet.running.keys()
    const starting = await drain(world, node)
    expect([starting.status, starting.body.error.field]).toEqual([400, 'id'])
    expect(starting.body.error.message).toContain(`${node} is starting; only an active node`)
    await world.report(node)
    world.fleet.kill(node)
    await eventually(async () => {
      expect((await drain(world, node)).body.error.message).toContain(`${node} is lost`)
    })
  })

  test('for which there is no room is refused with numbers and changes nothing', async () => {
    const world = await World.start()
    const large = { hints: { capacityBytes: 200 * MIB, peakBytesPerSecond: 1000 } }
    const { body: job } = await world.register(large)
    await world.register(large)
    const [node = ''] = nodesOf(job.reservation)
    const { status, body } = await drain(world, node)
    expect([status, body.error.code]).toEqual([409, 'RESERVATION_REFUSED'])
    const { reservedBytes } = (await world.nodes()).find(({ id }) => id === node)?.tiers.ram ?? {}
    expect(body.error.message).toContain(`Asked for ${reservedBytes} bytes`)
    expect(await reservation(world, job.id)).toEqual(job.reservation)
    expect((await world.nodes()).map(({ state }) => state)).toEqual(['active', 'active'])
    expect(world.fleet.started).toBe(2)
  })

  test('of all jobs or of none: one that has no room keeps the others where they are', async () => {
    const world = await World.start()
    const jobs = await Promise.all(
      [100, 130].map((mib) => world.register({ hints: { capacityBytes: mib * MIB, peakBytesPerSecond: 1 } })),
    )
    const filler = { hints: { capacityBytes: 100 * MIB, peakBytesPerSecond: 1 } }
    await world.register(filler)
    const [node = ''] = nodesOf(jobs[0]?.body.reservation)
    expect((await drain(world, node)).status).toBe(409)
    for (const { body } of jobs) expect(await reservation(world, body.id)).toEqual(body.reservation)
  })

  test('can have the last node, as another is started', async () => {
    const { world, node } = await begin({ classes: [{ ...smallClass, nodesMax: 2 }] })
    for (let report = 0; report < 2; report++) await world.report(node)
    await eventually(() => expect([...world.fleet.running.keys()]).not.toContain(node))
    expect(world.fleet.running.size).toBe(1)
  })

  test('takes no new job, and ends with the last one that it had', async () => {
    const { world, job, node } = await begin()
    const { body: later } = await world.register(small)
    expect(nodesOf(later.reservation)).not.toContain(node)
    await world.ask(`/v1/jobs/${job.id}`, { method: 'DELETE' })
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
  })

  test('of two nodes at once leaves each job where neither of them is', async () => {
    const world = await World.start({ classes: [{ ...smallClass, nodesMax: 4 }] })
    const { body: job } = await world.register({
      hints: { capacityBytes: 300 * MIB, peakBytesPerSecond: 1000 },
    })
    const [a = '', b = ''] = nodesOf(job.reservation)
    const begun = await Promise.all([drain(world, a), drain(world, b)])
    expect(begun.map(({ status }) => status)).toEqual([202, 202])
    await eventually(() => expect(world.metadata.shares.get(job.id)?.length).toBe(4))
    for (let report = 0; report < 2; report++) await Promise.all([world.report(a), world.report(b)])
    await eventually(() => expect([...world.fleet.running.keys()]).toHaveLength(2))
    const after = await reservation(world, job.id)
    expect(after.bytes).toEqual(job.reservation.bytes)
    expect(nodesOf(after).sort()).toEqual([...world.fleet.running.keys()].sort())
  })

  test('of a job that is being registered waits for nothing but its new node', async () => {
    const world = await World.start({ ...three, warmNodes: 1 })
    await eventually(async () => expect((await world.nodes())[0]?.state).toBe('active'))
    const [node = ''] = world.fleet.running.keys()
    let create = (): void => undefined
    const createJob = world.metadata.createJob.bind(world.metadata)
    world.metadata.createJob = async (...request) => {
      await new Promise<void>((resolve) => {
        create = resolve
      })
      return createJob(...request)
    }
    const registered = world.register(small)
    await eventually(async () =>
      expect((await world.ask('/v1/jobs')).body.jobs[0]?.state).toBe('registering'),
    )
    expect((await drain(world, node)).status).toBe(202)
    await eventually(() => expect(world.fleet.started).toBe(2))
    create()
    const { body: job } = await registered
    await eventually(() => {
      const weights = world.metadata.shares.get(job.id)?.map(({ weight }) => weight > 0)
      expect(weights).toEqual([false, true])
    })
  })

  test('goes on where it was when the controller starts again', async () => {
    const { world, job, node, other } = await begin()
    await world.stop()
    await world.startController()
    expect((await world.nodes()).find(({ id }) => id === node)?.state).toBe('draining')
    await eventually(() => {
      expect(world.metadata.shares.get(job.id)).toMatchObject([{ weight: 0 }, { node: other }])
    })
    for (let report = 0; report < 2; report++) await world.report(node)
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
    expect((await reservation(world, job.id)).bytes).toEqual(job.reservation.bytes)
  })

  test('that had come to its end when the controller died stops the node when it starts again', async () => {
    const { world, node } = await begin()
    const stop = world.fleet.stop
    world.fleet.stop = () => undefined
    for (let report = 0; report < 2; report++) await world.report(node)
    await eventually(async () => {
      expect((await world.nodes()).find(({ id }) => id === node)?.tiers.ram.reservedBytes).toBe(0)
    })
    await world.stop()
    world.fleet.stop = stop
    await world.startController()
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
    expect((await world.nodes()).map(({ id }) => id)).not.toContain(node)
  })

  test('during which the node dies loses what it still had, and no room that the job has elsewhere', async () => {
    const { world, job, node, other } = await begin()
    world.fleet.kill(node)
    await eventually(() => expect(world.metadata.asked).toContain(`died ${node}`))
    await eventually(() =>
      expect(world.metadata.shares.get(job.id)?.map((share) => share.node)).toEqual([other]),
    )
    const after = await reservation(world, job.id)
    expect([nodesOf(after), after.bytes]).toEqual([[other], job.reservation.bytes])
    expect((await world.nodes()).find(({ id }) => id === node)?.state).toBe('lost')
    expect(world.fleet.started).toBe(2)
  })

  test('whose new node dies as it starts keeps the data where it is until there is another', async () => {
    const world = await World.start(three)
    const { body: job } = await world.register(small)
    const [node = ''] = world.fleet.running.keys()
    const start = world.fleet.onStart
    world.fleet.onStart = (started) => void setImmediate(() => world.fleet.kill(started, 'exit code 1'))
    expect((await drain(world, node)).status).toBe(202)
    await eventually(async () => {
      await world.report(node)
      expect((await world.nodes()).filter(({ state }) => state === 'lost').length).toBeGreaterThan(2)
    })
    for (let report = 0; report < 3; report++) await world.report(node)
    await settle()
    expect(world.fleet.running.has(node)).toBe(true)
    expect(nodesOf(await reservation(world, job.id))).toContain(node)
    world.fleet.onStart = start
    await eventually(async () => {
      // The next start waits for the back-off, and the node is silent for no longer than it may be.
      await world.report(node)
      const shares = world.metadata.shares.get(job.id) ?? []
      expect(shares.filter(({ weight }) => weight > 0).map((share) => share.node)).not.toContain(node)
    }, 10_000)
    expect(world.metadata.shares.get(job.id)?.some(({ weight }) => weight > 0)).toBe(true)
    expect((await world.nodes()).find(({ id }) => id === node)?.state).not.toBe('lost')
  })
})

describe('a node that is silent', () => {
  test('for longer than its lease can last is ended, and its jobs get room elsewhere', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ clock, ...three })
    const { body: job } = await world.register(small)
    const [node = ''] = world.fleet.running.keys()
    await clock.advance(NODE_SILENCE_MS_MAX - 1_000)
    expect(world.fleet.running.has(node)).toBe(true)
    await clock.advance(3_000)
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
    await eventually(() => expect(world.metadata.asked).toContain(`died ${node}`))
    await eventually(async () => {
      expect(nodesOf(await reservation(world, job.id))).toEqual([...world.fleet.running.keys()])
    })
    expect((await world.nodes()).find(({ id }) => id === node)?.state).toBe('lost')
  })

  test('while the controller itself stood still is given its time anew', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ clock, ...three })
    await world.register(small)
    const [node = ''] = world.fleet.running.keys()
    clock.jump(10 * NODE_SILENCE_MS_MAX)
    await clock.advance(3_000)
    await world.report(node)
    await clock.advance(NODE_SILENCE_MS_MAX - 2_000)
    expect(world.fleet.running.has(node)).toBe(true)
  })

  test('since before the controller started is given its time from then', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ clock, ...three })
    await world.register(small)
    const [node = ''] = world.fleet.running.keys()
    await clock.advance(NODE_SILENCE_MS_MAX - 2_000)
    await world.stop()
    await world.startController()
    await clock.advance(NODE_SILENCE_MS_MAX - 2_000)
    expect(world.fleet.running.has(node)).toBe(true)
    await clock.advance(5_000)
    await eventually(() => expect(world.fleet.running.has(node)).toBe(false))
  })
})
