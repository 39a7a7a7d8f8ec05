import { describe, expect, test } from 'vitest'
import { type Death, Life } from './support/mortal.ts'
import { settle, VirtualClock } from './support/virtual-clock.ts'
import { eventually, MIB, World } from './support/world.ts'

const key = { 'idempotency-key': 'once' }
const body = { name: 'wc', hints: { capacityBytes: 300 * MIB, peakBytesPerSecond: 1_000 } }

interface Seen {
  readonly id: string
  readonly state: string
  readonly reservation: { readonly nodes: readonly { node: string; bytes: { ram: number } }[] }
}

/** Registers a job on two nodes, uses it for a second and deregisters it, as far as the controller survives. */
async function liveThrough(world: World, signal: AbortSignal): Promise<void> {
  const registered = await world.ask('/v1/jobs', { method: 'POST', body, headers: key, signal })
  await reportAll(world)
  await world.ask(`/v1/jobs/${registered.body.id}`, { method: 'DELETE', signal })
}

async function reportAll(world: World): Promise<void> {
  await world.reportMetadata()
  for (const node of [...world.fleet.running.keys()]) {
    const jobs = [...world.metadata.shares]
      .filter(([, shares]) => shares.some((share) => share.node === node))
      .map(([id]) => ({ id, objects: 1, bytes: { ram: MIB }, bytesPerSecond: 5 }))
    await world.report(node, jobs)
  }
}

async function pass(world: World, clock: VirtualClock, seconds = 3): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await clock.advance(1_000)
    await reportAll(world)
    await settle()
  }
}

async function livingJobs(world: World): Promise<Seen[]> {
  return (await world.ask('/v1/jobs')).body.jobs
}

/** Checks that no resource is counted twice or without an owner, and that metadata agrees with the controller. */
async function checkAccounts(world: World): Promise<void> {
  const jobs = await livingJobs(world)
  const parts = jobs.flatMap(({ reservation }) => reservation.nodes)
  for (const { id, tiers } of await world.nodes()) {
    const held = parts.filter(({ node }) => node === id).reduce((sum, { bytes }) => sum + bytes.ram, 0)
    expect(tiers.ram.reservedBytes).toBe(held)
  }
  expect(jobs.map(({ state }) => state)).toEqual(jobs.map(() => 'active'))
  expect([...world.metadata.shares.keys()]).toEqual(jobs.map(({ id }) => id))
}

async function run(death: Death | null): Promise<{ writes: number; died: boolean }> {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  await world.stop()
  // A heartbeat to a killed process gets no answer.
  world.fleet.onStart = (node) => void setImmediate(() => void world.report(node).catch(() => null))
  const life = new Life(death)
  await world.startController({ life })
  const gone = new AbortController()
  const done = liveThrough(world, gone.signal).then(
    () => true,
    () => true,
  )
  await Promise.race([done, eventually(() => expect(life.over).toBe(true), 20_000)])
  // Nodes are stopped after the answer.
  await eventually(() => expect(life.over || world.fleet.running.size === 0).toBe(true))
  gone.abort()
  await done
  const { writes, over: died } = life
  // Heartbeats that the dead process has not answered are cut off after 2 s.
  await Promise.all([world.stop(), clock.advance(2_000)])

  await world.startController()
  await pass(world, clock)
  await checkAccounts(world)
  const again = await world.register(body, key)
  expect([201, 410]).toContain(again.status)
  const jobs = await livingJobs(world)
  expect(jobs.length).toBe(again.status === 201 ? 1 : 0)
  await reportAll(world)
  for (const { id } of jobs) await world.ask(`/v1/jobs/${id}`, { method: 'DELETE' })
  await pass(world, clock)
  await checkAccounts(world)
  expect(world.fleet.running.size).toBe(0)
  expect((await world.ask('/v1/cluster')).body.totals.bytes.ram.reserved).toBe(0)
  await world.stop()
  const store = world.openStore()
  const { runs, nodes } = await store.load()
  await store.close()
  // Lost nodes are shown for ten minutes.
  expect(nodes.filter(({ state }) => state !== 'lost')).toEqual([])
  // One job was used and ended. A registration that was cut off must not affect the next estimate.
  expect(runs.map(({ name, peak }) => [name, peak.bytes])).toEqual([['default/wc', 2 * MIB]])
  return { writes, died }
}

describe('a controller that is killed', async () => {
  const WRITES = 12

  test('writes down so many things in the life of one job', async () => {
    expect(await run(null)).toEqual({ writes: WRITES, died: false })
  })

  test.for(
    Array.from({ length: WRITES }, (_, index) => index + 1).flatMap((write) =>
      (['before', 'after'] as const).map((when) => ({ write, when })),
    ),
  )('$when write $write of a job leaks nothing and reserves nothing twice', async (death) => {
    expect((await run(death)).died).toBe(true)
  })
})
