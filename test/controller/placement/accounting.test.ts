import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seed } from '../support/seed.ts'
import { settle, VirtualClock } from '../support/virtual-clock.ts'
import { MIB, smallClass, World } from '../support/world.ts'

const mib = fc.integer({ min: 1, max: 300 })
const pick = fc.nat()
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('register' as const), mib }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('resize' as const), mib, pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drain' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

interface Part {
  readonly node: string
  readonly bytes: { readonly ram: number }
  readonly bytesPerSecond: number
}

interface JobSeen {
  readonly id: string
  readonly hints: { readonly capacityBytes: number }
  readonly reservation: { readonly bytes: { readonly ram: number }; readonly nodes: readonly Part[] }
}

/** One second in which every node reports the jobs whose slots metadata assigns to it. */
async function pass(world: World, clock: VirtualClock): Promise<void> {
  await clock.advance(1_000)
  await world.reportMetadata()
  for (const node of [...world.fleet.running.keys()]) {
    const jobs = [...world.metadata.shares]
      .filter(([, shares]) => shares.some((share) => share.node === node && share.weight > 0))
      .map(([id]) => ({ id, idleMs: 0 }))
    await world.report(node, jobs)
  }
  await settle()
}

async function jobsOf(world: World): Promise<JobSeen[]> {
  return (await world.ask('/v1/jobs')).body.jobs
}

let names = 0

/** Begins a step once its target is known. The next step may begin before this one has ended. */
async function begin(world: World, step: Step): Promise<() => unknown> {
  const hints = (size: number) => ({ hints: { capacityBytes: size * MIB, peakBytesPerSecond: size * 1000 } })
  switch (step.kind) {
    case 'register':
      // For a name that recurs, nodes would be started ahead.
      return () => world.register({ name: `job-${++names}`, ...hints(step.mib) })
    case 'resize': {
      const path = await pathOf(world, 'jobs', step.pick)
      return () => world.ask(path, { method: 'PATCH', body: hints(step.mib) })
    }
    case 'end': {
      const path = await pathOf(world, 'jobs', step.pick)
      return () => world.ask(path, { method: 'DELETE' })
    }
    case 'drain': {
      const path = await pathOf(world, 'nodes', step.pick)
      return () => world.ask(`${path}/drain`, { method: 'POST' })
    }
    case 'kill': {
      const running = [...world.fleet.running.keys()]
      return () => world.fleet.kill(running[step.pick % running.length] ?? '')
    }
    case 'wait':
      return () => undefined
  }
}

/** Path of one of the jobs or nodes, or of an unknown one if there is none. */
async function pathOf(world: World, kind: 'jobs' | 'nodes', pick: number): Promise<string> {
  const all: { id: string }[] = (await world.ask(`/v1/${kind}`)).body[kind]
  return `/v1/${kind}/${all[pick % all.length]?.id ?? 'none'}`
}

async function isDraining(world: World): Promise<boolean> {
  return (await world.nodes()).some(({ state }) => state === 'draining')
}

async function checkAccounts(world: World): Promise<void> {
  const [jobs, nodes] = [await jobsOf(world), await world.nodes()]
  const parts = jobs.flatMap(({ reservation }) => reservation.nodes)
  for (const { id, state, tiers } of nodes) {
    const held = parts.filter(({ node }) => node === id).reduce((sum, { bytes }) => sum + bytes.ram, 0)
    expect(tiers.ram.reservedBytes).toBe(held)
    expect(held).toBeLessThanOrEqual(smallClass.ramBytes)
    expect(['active', 'lost']).toContain(state)
    if (state === 'lost') expect(held).toBe(0)
  }
  for (const { id, hints, reservation } of jobs) {
    const held = reservation.nodes.reduce((sum, { bytes }) => sum + bytes.ram, 0)
    expect(reservation.bytes.ram).toBe(held)
    // It may be less if a node died and no other had room, but never more.
    expect(held).toBeLessThanOrEqual(Math.ceil(hints.capacityBytes * (1 + 1 / 16)) + MIB)
    const told = world.metadata.shares.get(id)?.map(({ node, ramBytes }) => [node, ramBytes])
    if (held > 0) expect(told).toEqual(reservation.nodes.map(({ node, bytes }) => [node, bytes.ram]))
  }
  const { totals } = (await world.ask('/v1/cluster')).body
  expect(totals.bytes.ram.reserved).toBe(parts.reduce((sum, { bytes }) => sum + bytes.ram, 0))
  expect(totals.bytesPerSecond.reserved).toBe(parts.reduce((sum, part) => sum + part.bytesPerSecond, 0))
  expect([...world.metadata.shares.keys()].sort()).toEqual(jobs.map(({ id }) => id).sort())
}

test('whatever happens to jobs and nodes, what is reserved adds up once all is quiet', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }), async (steps) => {
      const clock = new VirtualClock()
      const world = await World.start({ clock, classes: [{ ...smallClass, nodesMax: 4 }] })
      const underWay: unknown[] = []
      for (const step of steps) {
        const run = await begin(world, step)
        underWay.push(run())
        if (step.kind === 'wait') await pass(world, clock)
      }
      let areOver = false
      const over = Promise.all(underWay).finally(() => {
        areOver = true
      })
      // A start may wait for the back-off after one that was killed.
      while (!areOver) await pass(world, clock)
      await over
      for (let second = 0; second < 12; second++) await pass(world, clock)
      // The cluster is almost idle, so a node may have begun to drain; the drain takes seconds.
      for (let second = 0; second < 12 && (await isDraining(world)); second++) await pass(world, clock)
      await checkAccounts(world)
      for (const { id } of await jobsOf(world)) await world.ask(`/v1/jobs/${id}`, { method: 'DELETE' })
      for (let second = 0; second < 3; second++) await pass(world, clock)
      expect(world.fleet.running.size).toBe(0)
      await world.stop()
    }),
    { seed, numRuns: 25 },
  )
})
