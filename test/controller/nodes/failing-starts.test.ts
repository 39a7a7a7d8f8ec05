import { describe, expect, test } from 'vitest'
import { VirtualClock } from '../support/virtual-clock.ts'
import { MIB, smallClass, World, type WorldOptions } from '../support/world.ts'

const BROKEN = 'exit code 127'
const whole = { hints: { capacityBytes: 150 * MIB, peakBytesPerSecond: 1_000 } }

/** A cluster in virtual time in which every node that is started ends at once. */
async function startBroken(options: WorldOptions = {}) {
  const clock = new VirtualClock()
  const world = await World.start({
    clock,
    classes: [{ ...smallClass, nodesMax: 200 }],
    ...options,
    nodesReport: false,
  })
  const { fleet } = world
  fleet.onStart = (node) => void setImmediate(() => fleet.kill(node, BROKEN))
  return { clock, world }
}

/** Advances time second by second while metadata and the running nodes report. */
async function pass(world: World, clock: VirtualClock, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await Promise.all([
      world.reportMetadata(),
      ...[...world.fleet.running.keys()].map((node) => world.report(node)),
    ])
    await clock.advance(1_000)
  }
}

/** Registers jobs that need a node each; they are over when the nodes have failed for a minute. */
async function registerMany(world: World, clock: VirtualClock, count: number, waitSeconds: number) {
  const before = world.fleet.started
  const registered = Promise.all(
    Array.from({ length: count }, (_, job) => world.register({ ...whole, name: `job-${job}`, waitSeconds })),
  )
  await pass(world, clock, 60)
  return { answers: await registered, started: world.fleet.started - before }
}

describe('while every node that is started ends at once', () => {
  test.each([0, 60])(
    'registrations with waitSeconds %i start few nodes a minute, and are told why',
    async (wait) => {
      const { world, clock } = await startBroken()
      // Nodes that are asked for before the first failure is known are started together.
      await registerMany(world, clock, 1, wait)
      const { answers, started } = await registerMany(world, clock, 30, wait)
      for (const { status, body } of answers) {
        expect(status).toBe(503)
        expect(body.error.code).toBe('UNAVAILABLE')
        expect(body.error.message).toContain(BROKEN)
      }
      expect(started).toBeGreaterThan(0)
      expect(started).toBeLessThanOrEqual(10)
      const { answers: next, started: later } = await registerMany(world, clock, 30, wait)
      for (const { body } of next) expect(body.error.message).toContain(BROKEN)
      expect(later).toBeLessThanOrEqual(4)
      expect((await world.nodes()).filter(({ state }) => state === 'starting')).toEqual([])
    },
  )

  test('registrations that begin together start at most the nodes that they need, and then few', async () => {
    const { world, clock } = await startBroken()
    const { started } = await registerMany(world, clock, 30, 0)
    expect(started).toBeLessThanOrEqual(30 + 10)
  })

  test('a start that succeeds ends the back-off for all that wait', async () => {
    const { world, clock } = await startBroken()
    await registerMany(world, clock, 1, 0)
    const { fleet } = world
    fleet.onStart = (node) => void setImmediate(() => void world.report(node))
    const { answers, started } = await registerMany(world, clock, 10, 0)
    for (const { body } of answers) expect(body.state).toBe('active')
    expect(started).toBe(fleet.running.size)
    const { body } = await world.register({ ...whole, name: 'later' })
    expect(body.state).toBe('active')
  })

  test('jobs that have lost their node start few replacements a minute', async () => {
    const { world, clock } = await startBroken()
    const { fleet } = world
    const fail = fleet.onStart
    fleet.onStart = (node) => void setImmediate(() => void world.report(node))
    const jobs = await registerMany(world, clock, 20, 0)
    const before = fleet.started
    fleet.onStart = fail
    for (const node of [...fleet.running.keys()]) fleet.kill(node)
    await pass(world, clock, 60)
    const burst = jobs.answers.length * 2
    expect(fleet.started - before).toBeLessThanOrEqual(burst + 10)
    const afterFirst = fleet.started
    await pass(world, clock, 60)
    expect(fleet.started - afterFirst).toBeLessThanOrEqual(4)
  })

  test('another class serves, and is not held back', async () => {
    const classes = ['broken', 'sound'].map((name) => ({ ...smallClass, name, nodesMax: 50 }))
    const { world, clock } = await startBroken({ classes })
    const { fleet } = world
    fleet.onStart = (node) =>
      void setImmediate(() =>
        fleet.running.get(node)?.class === 'sound' ? world.report(node) : fleet.kill(node, BROKEN),
      )
    const { answers } = await registerMany(world, clock, 20, 0)
    for (const { body } of answers) expect(body.state).toBe('active')
  })
})
