import { describe, expect, test } from 'vitest'
import { BELOW_ROUNDS } from '../../../controller/scaling/policy.ts'
import { type Held, ReportingCluster } from '../support/reporting-cluster.ts'
import { eventually, MIB, smallClass } from '../support/world.ts'

describe('a job without a hint of its size', () => {
  test('grows as it fills, over the node that it began on, and gives back what it does not need when it is past its peak', async () => {
    const cluster = await ReportingCluster.start()
    const { body: job } = await cluster.world.register()
    const fill = async (mib: number, seconds = 1): Promise<void> => {
      const shares = await cluster.reserved(job.id)
      const all = Object.values(shares).reduce((sum, bytes) => sum + bytes, 0)
      const placed = cluster.world.metadata.shares.get(job.id) ?? []
      const emptied = placed.filter(({ weight }) => weight === 0).map(({ node }) => node)
      const kept = Object.entries(shares).filter(([node]) => !emptied.includes(node))
      const on = kept.map(
        ([node, bytes]) => [node, [{ id: job.id, mib: Math.round((mib * bytes) / all), rate: 0 }]] as const,
      )
      await cluster.pass(seconds, new Map(on))
    }
    for (const mib of [20, 28, 34, 42, 52, 65, 81, 100, 125, 155, 190]) {
      await fill(mib)
      const { reservation } = (await cluster.world.ask(`/v1/jobs/${job.id}`)).body
      expect(reservation.bytes.ram / MIB).toBeGreaterThan(mib * 1.2)
    }
    expect(cluster.nodes.length).toBeGreaterThanOrEqual(2)
    const { sizing, hints } = (await cluster.world.ask(`/v1/jobs/${job.id}`)).body
    expect([sizing.bytes.ground, hints]).toEqual(['use', {}])
    await fill(1, BELOW_ROUNDS + 2)
    const after = (await cluster.world.ask(`/v1/jobs/${job.id}`)).body
    expect(after.sizing.bytes.asked).toBe(Math.ceil((190 * MIB) / 20))
    for (let second = 0; second < 40; second++) await fill(1)
    await eventually(() => expect(cluster.nodes).toHaveLength(1))
  })

  test('that may not grow stays as it is, and is tried again when there is room', async () => {
    const cluster = await ReportingCluster.start({ classes: [{ ...smallClass, nodesMax: 1 }] })
    const { body: job } = await cluster.world.register()
    const { body: filler } = await cluster.world.register({
      hints: { capacityBytes: 205 * MIB, peakBytesPerSecond: 1 },
    })
    const [node = ''] = cluster.nodes
    const held: Held = new Map([[node, [{ id: job.id, mib: 30, rate: 0 }]]])
    await cluster.pass(5, held)
    expect(await cluster.reserved(job.id)).toEqual({ [node]: 32 * MIB })
    await cluster.world.ask(`/v1/jobs/${filler.id}`, { method: 'DELETE' })
    await cluster.pass(31, held)
    expect((await cluster.reserved(job.id))[node]).toBe(50 * MIB)
  })

  test('grows below RAM at the request of a node, though a round found no room in RAM', async () => {
    const tiers = {
      ram: { capacityBytes: smallClass.ramBytes, usedBytes: 0 },
      ssd: { capacityBytes: smallClass.ssdBytes, usedBytes: 0 },
    }
    const cluster = await ReportingCluster.start({ classes: [{ ...smallClass, nodesMax: 1 }], tiers })
    const { body: job } = await cluster.world.register()
    const [node = ''] = cluster.nodes
    const { reservation } = (await cluster.world.ask(`/v1/jobs/${job.id}`)).body
    const freeMib = Math.floor((smallClass.ramBytes - reservation.bytes.ram) / MIB)
    await cluster.world.register({
      hints: { capacityBytes: Math.floor((freeMib - 4) / 1.0625) * MIB, peakBytesPerSecond: 1, latencyMs: 1 },
    })
    const mib = Math.floor(reservation.bytes.ram / MIB) - 1
    await cluster.pass(1, new Map([[node, [{ id: job.id, mib, rate: 0 }]]]))
    expect((await cluster.world.ask(`/v1/jobs/${job.id}`)).body.reservation.bytes).toEqual(reservation.bytes)
    const waiting = { id: job.id, bytes: { ram: mib * MIB }, waitingBytes: 2 * MIB }
    await eventually(async () => {
      // A node repeats its request while puts wait.
      expect((await cluster.world.requestCapacity(node, [waiting])).body).toEqual({ limited: [] })
      const { bytes } = (await cluster.world.ask(`/v1/jobs/${job.id}`)).body.reservation
      expect(bytes.ssd).toBeGreaterThan(reservation.bytes.ssd)
    })
  })

  test('grows up to the quota of its key and no further, while a job of another key grows', async () => {
    const name = 'attacker'
    const quota = { bytes: 100 * MIB }
    const apiKeys = [
      { name, key: 'attackers-key-of-16-characters', role: 'driver' as const, quota },
      { name: 'bystander', key: 'bystanders-key-of-16-characters', role: 'driver' as const, quota: {} },
    ]
    const cluster = await ReportingCluster.start({ apiKeys })
    const register = (key: string) =>
      cluster.world.register({}, { authorization: `Bearer ${key}-key-of-16-characters` })
    const { body: attackers } = await register('attackers')
    const { body: bystanders } = await register('bystanders')
    const reservedMib = async (id: string): Promise<number> =>
      Object.values(await cluster.reserved(id)).reduce((sum, bytes) => sum + bytes, 0) / MIB
    /** Each job holds all that it has reserved. */
    const grow = async (): Promise<void> => {
      const held = new Map<string, { id: string; mib: number; rate: number }[]>()
      for (const { id } of [attackers, bystanders])
        for (const [node, bytes] of Object.entries(await cluster.reserved(id)))
          held.set(node, [...(held.get(node) ?? []), { id, mib: Math.floor(bytes / MIB), rate: 0 }])
      await cluster.pass(2, held)
    }
    let most = 0
    for (let round = 0; round < 12; round++) {
      await grow()
      most = Math.max(most, await reservedMib(attackers.id))
    }
    expect(most).toBeGreaterThan(50)
    expect(most).toBeLessThanOrEqual(100)
    expect(await reservedMib(bystanders.id)).toBeGreaterThan(150)
  })
})
