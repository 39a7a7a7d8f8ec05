import { describe, expect, test } from 'vitest'
import { NODE_LEASE_MS } from '../../../protocol/limits.ts'
import { settle, VirtualClock } from '../support/virtual-clock.ts'
import { eventually, World } from '../support/world.ts'

/** A job with a lease of 10 s on one node, on a virtual clock. */
async function begin() {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  const { body } = await world.register({ leaseSeconds: 10 })
  const [node = ''] = world.fleet.running.keys()
  const pass = async (seconds: number, idleMs?: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await clock.advance(1_000)
      const idle = idleMs === undefined ? clock.monotonicMs() : idleMs
      await world.report(node, [{ id: body.id, idleMs: idle }])
    }
    await clock.advance(1_000)
    await settle()
  }
  const state = async (): Promise<string> => (await world.ask(`/v1/jobs/${body.id}`)).body.state
  return { clock, world, id: body.id as string, node, pass, state }
}

describe('the lease of a job', () => {
  test('lapses when nobody used or renewed it for its seconds, and frees what it had', async () => {
    const { pass, state, world, id } = await begin()
    await pass(8)
    expect(await state()).toBe('active')
    await pass(4)
    await eventually(async () => expect(await state()).toBe('ended'))
    expect((await world.ask(`/v1/jobs/${id}`)).body.endReason).toBe('lease')
    expect(world.metadata.asked).toContain(`end ${id}`)
  })

  test('is renewed by use, as the nodes tell of it', async () => {
    const { pass, state } = await begin()
    await pass(40, 500)
    expect(await state()).toBe('active')
    await pass(14)
    await eventually(async () => expect(await state()).toBe('ended'))
  })

  test('is renewed by its driver', async () => {
    const { pass, state, world, id } = await begin()
    await pass(8)
    const before = (await world.ask(`/v1/jobs/${id}`)).body.leaseExpiresAt
    const { status, body } = await world.ask(`/v1/jobs/${id}/renew`, { method: 'POST' })
    expect(status).toBe(200)
    expect(Date.parse(body.leaseExpiresAt) - Date.parse(before)).toBeGreaterThanOrEqual(8_000)
    await pass(7)
    expect(await state()).toBe('active')
  })

  test('does not lapse while a live node of the job is silent, since that may be the one that is used', async () => {
    const { clock, state, pass } = await begin()
    await clock.advance(NODE_LEASE_MS)
    expect(await state()).toBe('active')
    await pass(1)
    await eventually(async () => expect(await state()).toBe('ended'))
  })

  test('goes on counting while the controller is away, and waits for every node before it lapses', async () => {
    const { clock, state, world, node, id } = await begin()
    await world.stop()
    await clock.advance(60_000)
    await world.startController()
    await clock.advance(5_000)
    expect(await state()).toBe('active')
    await world.report(node, [{ id, idleMs: 3_000 }])
    await clock.advance(2_000)
    expect(await state()).toBe('active')
    await clock.advance(10_000)
    await world.report(node, [{ id, idleMs: 15_000 }])
    await clock.advance(1_000)
    await eventually(async () => expect(await state()).toBe('ended'))
  })

  test('is written down, so that a restart loses little of it', async () => {
    const { clock, state, world, node, id, pass } = await begin()
    await pass(30, 0)
    await world.stop()
    await world.startController()
    await world.report(node, [])
    await clock.advance(1_000)
    expect(await state()).toBe('active')
    const { body } = await world.ask(`/v1/jobs/${id}`)
    expect(Date.parse(body.leaseExpiresAt) - clock.wallMs()).toBeGreaterThan(2_000)
  })
})

describe('the lease of a job whose node died', () => {
  test('counts from when the job is placed on another, before which nobody could use it', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ clock, nodesReport: false })
    const registered = world.register({ leaseSeconds: 3 })
    await eventually(() => expect(world.fleet.running.size).toBe(1))
    const [first = ''] = world.fleet.running.keys()
    await world.report(first)
    const { id } = (await registered).body
    const state = async (): Promise<string> => (await world.ask(`/v1/jobs/${id}`)).body.state
    world.fleet.kill(first)
    await eventually(() => expect(world.fleet.running.size).toBe(1))
    for (let second = 0; second < 10; second++) await clock.advance(1_000)
    expect(await state()).toBe('active')
    const [next = ''] = world.fleet.running.keys()
    await world.report(next)
    await eventually(() => expect(world.metadata.shares.get(id)?.map(({ node }) => node)).toEqual([next]))
    for (let second = 0; second < 2; second++) {
      await clock.advance(1_000)
      await world.report(next, [{ id, idleMs: 60_000 }])
    }
    expect(await state()).toBe('active')
    for (let second = 0; second < 3; second++) {
      await clock.advance(1_000)
      await world.report(next, [{ id, idleMs: 60_000 }])
    }
    await clock.advance(1_000)
    await eventually(async () => expect(await state()).toBe('ended'))
  })
})

describe('an end that metadata does not hear of', () => {
  test('is answered as unavailable in time, and carried out once metadata is back', async () => {
    const { clock, world, id, state } = await begin()
    world.metadata.reachable = false
    const ending = world.ask(`/v1/jobs/${id}`, { method: 'DELETE' })
    await eventually(() => expect(world.metadata.asked).toContain(`end ${id}`))
    await clock.advance(6_000)
    const { status, body } = await ending
    expect([status, body.error.code]).toEqual([503, 'UNAVAILABLE'])
    world.metadata.reachable = true
    await clock.advance(1_000)
    await eventually(async () => expect(await state()).toBe('ended'))
  })
})

describe('a node that never reports', () => {
  test('is given up after its time, and the registration with it', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ clock, nodesReport: false })
    const registered = world.register()
    await eventually(() => expect(world.fleet.running.size).toBe(1))
    await clock.advance(16_000)
    const { status, body } = await registered
    expect([status, body.error.code]).toEqual([503, 'UNAVAILABLE'])
    await eventually(() => expect(world.fleet.running.size).toBe(0))
  })
})

describe('a lost node', () => {
  test('is shown for ten minutes', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ clock, warmNodes: 1 })
    const [node = ''] = world.fleet.running.keys()
    await world.report(node)
    world.fleet.kill(node)
    await clock.advance(9 * 60_000)
    expect((await world.nodes()).some(({ id }) => id === node)).toBe(true)
    await clock.advance(2 * 60_000)
    expect((await world.nodes()).some(({ id }) => id === node)).toBe(false)
  })
})
