import { describe, expect, test } from 'vitest'
import { VirtualClock } from '../support/virtual-clock.ts'
import { eventually, MIB, smallClass, World } from '../support/world.ts'

const MINUTE_MS = 60_000
const body = { name: 'nightly', hints: { capacityBytes: 300 * MIB, peakBytesPerSecond: 1_000 } }

/** Advances time while the nodes report often enough to be alive. */
async function pass(world: World, clock: VirtualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10_000) {
    await Promise.all([...world.fleet.running.keys()].map((node) => world.report(node)))
    await clock.advance(Math.min(10_000, ms - passed))
  }
}

/** Runs a job name `count` times, half an hour apart; afterwards it has ended and its nodes have stopped. */
async function runs(count: number) {
  const clock = new VirtualClock()
  const world = await World.start({ clock, classes: [{ ...smallClass, nodesMax: 4 }] })
  for (let run = 0; run < count; run++) {
    if (run > 0) await pass(world, clock, 30 * MINUTE_MS)
    const { body: job } = await world.register(body)
    expect(job.state).toBe('active')
    await world.ask(`/v1/jobs/${job.id}`, { method: 'DELETE' })
    await eventually(() => expect(world.fleet.running.size).toBe(0))
  }
  return { world, clock }
}

describe('a job name that is registered every half an hour', () => {
  test('finds its nodes ready from the sixth time on, and they stop when it is overdue', async () => {
    const { world, clock } = await runs(6)
    await pass(world, clock, 26 * MINUTE_MS)
    expect(world.fleet.running.size).toBe(0)
    await pass(world, clock, 3 * MINUTE_MS)
    expect(world.fleet.running.size).toBe(2)
    const { started } = world.fleet
    const { body: job } = await world.register(body)
    expect(world.fleet.started).toBe(started)
    await world.ask(`/v1/jobs/${job.id}`, { method: 'DELETE' })
    await pass(world, clock, MINUTE_MS)
    await eventually(() => expect(world.fleet.running.size).toBe(0))
    await pass(world, clock, 27 * MINUTE_MS)
    expect(world.fleet.running.size).toBe(2)
    await pass(world, clock, 8 * MINUTE_MS)
    expect(world.fleet.running.size).toBe(0)
  })

  test('is still known after the controller started again', async () => {
    const { world, clock } = await runs(6)
    await Promise.all([world.stop(), clock.advance(2_000)])
    await world.startController()
    await pass(world, clock, 28 * MINUTE_MS)
    expect(world.fleet.running.size).toBe(2)
  })

  test('is not waited for while it was seen too seldom', async () => {
    const { world, clock } = await runs(5)
    await pass(world, clock, 30 * MINUTE_MS)
    expect(world.fleet.running.size).toBe(0)
  })
})
