import { describe, expect, test } from 'vitest'
import { BELOW_ROUNDS } from '../../../controller/scaling/policy.ts'
import { busy, type Held, hinted, RATE, ReportingCluster } from '../support/reporting-cluster.ts'
import { eventually, MIB, smallClass, type WorldOptions } from '../support/world.ts'

describe('nodes of which one is above the band and another is not', () => {
  /** Five jobs on two nodes, which together transfer this multiple of a node's throughput. */
  async function twoNodes(options: WorldOptions = {}) {
    const cluster = await ReportingCluster.start(options)
    const hinted = (mib: number) => ({ hints: { capacityBytes: mib * MIB, peakBytesPerSecond: RATE / 10 } })
    const jobs = [100, 100, 20, 20, 20].map((mib) => cluster.world.register(hinted(mib)))
    const ids: string[] = (await Promise.all(jobs)).map(({ body }) => body.id)
    const [full = '', other = ''] = cluster.nodes
    expect(cluster.nodes).toHaveLength(2)
    const of = new Map<string, string[]>([
      [full, []],
      [other, []],
    ])
    for (const id of ids) of.get(Object.keys(await cluster.reserved(id))[0] ?? '')?.push(id)
    const moving = (node: string, rate: number): [string, { id: string; mib: number; rate: number }[]] => {
      const on = of.get(node) ?? []
      return [node, on.map((id) => ({ id, mib: 1, rate: (rate * RATE) / on.length }))]
    }
    const hasMoved = async (): Promise<boolean> => {
      const placed = await Promise.all((of.get(full) ?? []).map((id) => cluster.reserved(id)))
      return placed.some((nodes) => other in nodes)
    }
    return { cluster, held: new Map([moving(full, 0.98), moving(other, 0.4)]), moving, full, other, hasMoved }
  }

  test('are evened out by jobs of the full one, while the class as a whole is in the band', async () => {
    const { cluster, held, hasMoved } = await twoNodes()
    await cluster.pass(12, held)
    expect(await cluster.events('class.rebalanced')).toBeGreaterThan(0)
    expect(await cluster.events('class.scaledOut')).toBe(0)
    expect(await hasMoved()).toBe(true)
  })

  test('are evened out as well where the class is above it and may have no more', async () => {
    const { cluster, moving, full, other, hasMoved } = await twoNodes({
      classes: [{ ...smallClass, nodesMax: 2 }],
    })
    await cluster.pass(12, new Map([moving(full, 0.99), moving(other, 0.65)]))
    expect(await cluster.events('class.full')).toBe(1)
    expect(await hasMoved()).toBe(true)
  })
})

describe('a class with too many nodes', () => {
  async function twoNodes(): Promise<{ cluster: ReportingCluster; held: Held; nodes: string[] }> {
    const cluster = await ReportingCluster.start()
    const large = { hints: { capacityBytes: 150 * MIB, peakBytesPerSecond: 10 } }
    const first = (await cluster.world.register(large)).body
    const filler = (await cluster.world.register(large)).body
    const small = (await cluster.world.register(hinted)).body
    const [a = '', b = ''] = cluster.nodes
    const on = Object.keys(await cluster.reserved(small.id))[0] ?? ''
    const leaving = on === Object.keys(await cluster.reserved(first.id))[0] ? first : filler
    await cluster.world.ask(`/v1/jobs/${leaving.id}`, { method: 'DELETE' })
    return { cluster, held: busy(on, [small], RATE / 20), nodes: [a, b] }
  }

  test('drains the emptiest after twenty seconds, and its process ends', async () => {
    const { cluster, held, nodes } = await twoNodes()
    await cluster.pass(BELOW_ROUNDS - 1, held)
    expect(await cluster.events('class.scaledIn')).toBe(0)
    await cluster.pass(10, held)
    expect(await cluster.events('class.scaledIn')).toBe(1)
    await cluster.pass(5, () => new Map([...held].filter(([node]) => cluster.nodes.includes(node))))
    await cluster.pass(4, new Map())
    await eventually(() => expect(cluster.nodes).toHaveLength(1))
    expect(nodes).toContain(cluster.nodes[0])
    expect(await cluster.events('node.starting')).toBe(2)
    expect(await cluster.events('node.lost')).toBe(0)
  })

  test('keeps them while what is reserved has no room elsewhere', async () => {
    const cluster = await ReportingCluster.start()
    const large = { hints: { capacityBytes: 150 * MIB, peakBytesPerSecond: 10 } }
    await cluster.world.register(large)
    await cluster.world.register(large)
    await cluster.pass(60, new Map())
    expect(cluster.nodes).toHaveLength(2)
    expect(await cluster.events('node.draining')).toBe(0)
    expect(await cluster.events('node.starting')).toBe(2)
  })

  test('leaves the others alone while an operator drains one of them', async () => {
    const { cluster, held, nodes } = await twoNodes()
    const other = nodes.find((node) => !held.has(node)) ?? ''
    const stuck = { id: (await cluster.world.ask('/v1/jobs')).body.jobs[0].id, mib: 1, rate: 0 }
    expect((await cluster.world.ask(`/v1/nodes/${other}/drain`, { method: 'POST' })).status).toBe(202)
    await cluster.pass(60, new Map([...held, [other, [stuck]]]))
    expect(await cluster.events('class.scaledIn')).toBe(0)
    expect(cluster.nodes).toContain(other)
  })
})
