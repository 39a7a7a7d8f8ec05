import { describe, expect, test } from 'vitest'
import { defaultConfig } from '../../../cli/up/config/cluster-config.ts'
import type { NodeClass } from '../../../controller/sizing/node-class.ts'
import { defaultTraits } from '../../../controller/sizing/tier-traits.ts'
import { type Held, ObedientNodes } from '../support/obedient-nodes.ts'
import { seed } from '../support/seed.ts'

const [local = {} as NodeClass] = defaultConfig.nodeClasses
const tiers = {
  ram: { capacityBytes: local.ramBytes, usedBytes: 0 },
  ssd: { capacityBytes: local.ssdBytes, usedBytes: 0 },
}

function start(classes = [local]): Promise<ObedientNodes> {
  return ObedientNodes.start({ classes, traits: defaultTraits, warmNodes: defaultConfig.warmNodes, tiers })
}

/** Override with `MIXES=…`. */
const MIXES = Number(process.env.MIXES ?? 6)

/** A decision about nodes takes at most half a minute, and a mix needs only a few of them. */
const SETTLE_SECONDS = 300
const QUIET_SECONDS = 300

async function expectFixedPoint(cluster: ObedientNodes, held: ReadonlyMap<string, Held>): Promise<void> {
  await cluster.pass(SETTLE_SECONDS, held)
  const before = await cluster.events()
  await cluster.pass(QUIET_SECONDS, held)
  expect(await cluster.events()).toEqual(before)
}

/** Mulberry32. */
function randomOf(seedOfRun: number): () => number {
  let state = seedOfRun
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Mix {
  readonly hints: { capacityBytes?: number; peakBytesPerSecond?: number; latencySensitive?: boolean }
  /** Fractions of its payload and of its reservation. */
  readonly use: { readonly bytes: number; readonly bytesPerSecond: number }
}

/** Jobs of all sizes up to more than a node: with or without hints, idle, partly or fully used. */
function mixOf(random: () => number): Mix[] {
  const part = (): number => (random() < 0.3 ? 0 : random() < 0.2 ? 1 : random())
  return Array.from({ length: 1 + Math.floor(random() * 6) }, () => ({
    hints: {
      ...(random() < 0.7 && { capacityBytes: Math.ceil(1e9 * random() ** 2 * 1.5) + 1 }),
      ...(random() < 0.5 && { peakBytesPerSecond: Math.ceil(1e9 * random() ** 3) + 1 }),
      ...(random() < 0.3 && { latencySensitive: false }),
    },
    use: { bytes: part(), bytesPerSecond: part() },
  }))
}

describe('while no load changes, decisions reach a fixed point', () => {
  test('two idle jobs that fit on no node together stay where they are', async () => {
    const cluster = await start()
    const register = (capacityBytes: number) => cluster.world.register({ hints: { capacityBytes } })
    const jobs = [(await register(950e6)).body, (await register(150e6)).body]
    const held = new Map(jobs.map(({ id }) => [id, { bytes: 0, bytesPerSecond: 0 }]))
    await expectFixedPoint(cluster, held)
    expect((await cluster.events()).get('node.draining') ?? 0).toBe(0)
  })

  test('two idle jobs without hints cause no event in ten minutes, while their leases are renewed', async () => {
    const cluster = await start()
    const jobs = [(await cluster.world.register({})).body, (await cluster.world.register({})).body]
    const held = new Map(jobs.map(({ id }) => [id, { bytes: 0, bytesPerSecond: 0 }]))
    const renewed = async (): Promise<number[]> =>
      await Promise.all(
        jobs.map(
          async ({ id }) => (await cluster.world.ask(`/v1/jobs/${id}/renew`, { method: 'POST' })).status,
        ),
      )
    await cluster.pass(10, held)
    const before = await cluster.events()
    const { nodes } = cluster
    for (let minute = 0; minute < 10; minute++) {
      await cluster.pass(60, held)
      expect(await renewed()).toEqual([200, 200])
    }
    expect(await cluster.events()).toEqual(before)
    expect(cluster.nodes).toEqual(nodes)
  })

  test.each(Array.from({ length: MIXES }, (_, number) => seed + number))('mix %i', async (seedOfMix) => {
    const cluster = await start()
    const held = new Map<string, Held>()
    for (const { hints, use } of mixOf(randomOf(seedOfMix))) {
      const { status, body } = await cluster.world.register({ hints })
      if (status !== 201) continue
      const { bytes, bytesPerSecond } = body.reservation
      const payload = (bytes.ram + bytes.ssd) * (16 / 17)
      held.set(body.id, { bytes: use.bytes * payload, bytesPerSecond: use.bytesPerSecond * bytesPerSecond })
    }
    await expectFixedPoint(cluster, held)
  })
})
