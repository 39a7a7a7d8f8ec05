import { describe, expect, test } from 'vitest'
import { startOwnTime } from '../../fixture/own-time.ts'
import { eventually, MIB, smallClass, World } from '../support/world.ts'

const small = { hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: 1000 } }
const spanning = { hints: { capacityBytes: 300 * MIB, peakBytesPerSecond: 1000 } }

/** Index of metadata's first request that begins with `start`. */
function askedAt(world: World, start: string): number {
  return world.metadata.asked.findIndex((asked) => asked.startsWith(start))
}

describe('a node that dies', () => {
  test('is reported to metadata at once, and its jobs get the same room elsewhere, well within a second', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    const [dead = ''] = world.fleet.running.keys()
    const ownMs = startOwnTime()
    world.fleet.kill(dead)
    await eventually(() => expect(askedAt(world, `share ${body.id}`)).toBeGreaterThan(0))
    expect(ownMs()).toBeLessThan(1_000)
    const read = (await world.ask(`/v1/jobs/${body.id}`)).body
    expect(read.reservation.bytes).toEqual(body.reservation.bytes)
    expect(read.reservation.nodes.length).toBe(1)
    expect(read.reservation.nodes[0].node).not.toBe(dead)
    expect(askedAt(world, `died ${dead}`)).toBeLessThan(askedAt(world, `share ${body.id}`))
    const node = (await world.nodes()).find(({ id }) => id === dead)
    expect(node).toMatchObject({ state: 'lost', tiers: { ram: { reservedBytes: 0 } } })
  })

  test('takes only its own part of a job with it', async () => {
    const world = await World.start({ classes: [{ ...smallClass, nodesMax: 3 }] })
    const { body } = await world.register(spanning)
    const [dead, stays] = body.reservation.nodes
    world.fleet.kill(dead.node)
    await eventually(() => expect(askedAt(world, `share ${body.id}`)).toBeGreaterThan(0))
    const { reservation } = (await world.ask(`/v1/jobs/${body.id}`)).body
    expect(reservation.bytes).toEqual(body.reservation.bytes)
    const share = reservation.nodes.find(({ node }: { node: string }) => node === stays.node)
    expect(share.bytes.ram).toBeGreaterThanOrEqual(stays.bytes.ram)
  })

  test('leaves its slots to the others of the job where there is no room for a replacement', async () => {
    const world = await World.start()
    const { body } = await world.register(spanning)
    const other = await world.register({
      hints: { capacityBytes: 60 * MIB, peakBytesPerSecond: 1000 },
    })
    world.fleet.onStart = (node) => void setImmediate(() => world.fleet.kill(node, 'exit code 1'))
    const [dead, stays] = body.reservation.nodes
    world.fleet.kill(dead.node)
    await eventually(() => expect(askedAt(world, `share ${body.id}`)).toBeGreaterThan(0))
    const { reservation, state } = (await world.ask(`/v1/jobs/${body.id}`)).body
    expect(state).toBe('active')
    expect(reservation.nodes.map(({ node }: { node: string }) => node)).toEqual([stays.node])
    expect((await world.ask(`/v1/jobs/${other.body.id}`)).body.state).toBe('active')
    const { text } = await world.ask('/metrics')
    expect(text).toContain('mayfly_events_total{type="job.degraded"} 1')
  })

  test('is replaced later, when it was the only one and no other started at first', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    const [dead = ''] = world.fleet.running.keys()
    const start = world.fleet.onStart
    world.fleet.onStart = (node) => void setImmediate(() => world.fleet.kill(node, 'exit code 1'))
    world.fleet.kill(dead)
    await eventually(async () => {
      expect((await world.ask(`/v1/jobs/${body.id}`)).body.reservation.nodes).toEqual([])
    })
    world.fleet.onStart = start
    await eventually(() => expect(askedAt(world, `share ${body.id}`)).toBeGreaterThan(0), 10_000)
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.reservation.bytes).toEqual(body.reservation.bytes)
  })

  test('is reported again and again until metadata is back', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    const [dead = ''] = world.fleet.running.keys()
    world.metadata.reachable = false
    world.fleet.kill(dead)
    await eventually(() => {
      expect(world.metadata.asked.filter((asked) => asked === `died ${dead}`).length).toBeGreaterThan(2)
    })
    expect(askedAt(world, `share ${body.id}`)).toBe(-1)
    world.metadata.reachable = true
    await eventually(() => expect(askedAt(world, `share ${body.id}`)).toBeGreaterThan(0))
  })

  test('that was warm is replaced, so that the next registration waits for nothing', async () => {
    const world = await World.start({ warmNodes: 1 })
    const [dead = ''] = world.fleet.running.keys()
    await eventually(async () => expect((await world.nodes())[0]?.state).toBe('active'))
    world.fleet.kill(dead)
    await eventually(async () => {
      expect((await world.nodes()).map(({ state }) => state).sort()).toEqual(['active', 'lost'])
    })
  })

  test('and dies again and again is not started in a hot loop', async () => {
    const failing = await World.start({ nodesReport: false, warmNodes: 2 })
    failing.fleet.onStart = (node) => void setImmediate(() => failing.fleet.kill(node, 'exit code 1'))
    for (const node of [...failing.fleet.running.keys()]) failing.fleet.kill(node)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(failing.fleet.started).toBeLessThanOrEqual(6)
  })

  test('while it drains has only done what it was told', async () => {
    const world = await World.start()
    const { body } = await world.register(small)
    await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
    await eventually(async () => expect(await world.nodes()).toEqual([]))
    const { text } = await world.ask('/metrics')
    expect(text).toContain('mayfly_events_total{type="node.lost"} 0')
  })
})
