import { describe, expect, test } from 'vitest'
import { RELOCATION_REPORTS_MAX } from '../../../controller/limits.ts'
import { NODE_START_MS_MAX } from '../../../protocol/limits.ts'
import { Life } from '../support/mortal.ts'
import { busy, type Held, hinted, RATE, ReportingCluster } from '../support/reporting-cluster.ts'
import { eventually, MIB, smallClass } from '../support/world.ts'

describe('a node that is too busy', () => {
  test('gives a whole job to a new node after three seconds, which ends where it was once it has left', async () => {
    const cluster = await ReportingCluster.start()
    const { jobs, node } = await cluster.twoJobs()
    await cluster.pass(2, busy(node, jobs))
    expect(cluster.nodes).toHaveLength(1)
    await cluster.pass(2, busy(node, jobs))
    const [, fresh = ''] = cluster.nodes
    expect(await cluster.events('class.scaledOut')).toBe(1)
    await cluster.pass(1, busy(node, jobs))
    const [moved, kept] = jobs
    await eventually(() =>
      expect(cluster.world.metadata.shares.get(moved.id)).toMatchObject([
        { node, weight: 0 },
        { node: fresh, weight: 35 },
      ]),
    )
    expect(Object.keys(await cluster.reserved(moved.id)).sort()).toEqual([node, fresh].sort())
    const after: Held = new Map([...busy(node, [kept]), ...busy(fresh, [moved])])
    await cluster.pass(4, after)
    await eventually(async () => expect(Object.keys(await cluster.reserved(moved.id))).toEqual([fresh]))
    expect(await cluster.reserved(kept.id)).toEqual(kept.reservation && { [node]: 35 * MIB })
    await cluster.pass(60, after)
    expect(cluster.nodes).toHaveLength(2)
    expect(await cluster.events('class.scaledOut')).toBe(1)
  })

  test('gives a part of a job that is alone, and what has left is counted there until it has', async () => {
    const cluster = await ReportingCluster.start()
    const { body: job } = await cluster.world.register({
      hints: { ...hinted.hints, capacityBytes: 96 * MIB },
    })
    const [node = ''] = cluster.nodes
    const all = job.reservation.bytes.ram
    const held: Held = new Map([[node, [{ id: job.id, mib: 80, rate: RATE * 0.9 }]]])
    await cluster.pass(6, held)
    const [, fresh = ''] = cluster.nodes
    await eventually(async () => expect((await cluster.reserved(job.id))[node]).toBe(all))
    expect((await cluster.reserved(job.id))[fresh]).toBeCloseTo(all / 2, -1)
    const [old, next] = cluster.world.metadata.shares.get(job.id) ?? []
    expect(old?.weight).toBe(next?.weight)
    const even = (of: string) => [of, [{ id: job.id, mib: 40, rate: RATE * 0.45 }]] as const
    await cluster.pass(4, new Map([even(node), even(fresh)]))
    await eventually(async () => {
      const shares = await cluster.reserved(job.id)
      expect(Object.values(shares).reduce((sum, bytes) => sum + bytes, 0)).toBe(all)
    })
  })

  test('takes an idle node before it starts one', async () => {
    const cluster = await ReportingCluster.start({ warmNodes: 2 })
    await eventually(() => expect(cluster.nodes).toHaveLength(2))
    await cluster.pass(1, new Map())
    const { jobs } = await cluster.twoJobs()
    const [node = ''] = Object.keys(await cluster.reserved(jobs[0].id))
    await cluster.pass(5, busy(node, jobs))
    const idle = cluster.nodes.find((each) => each !== node)
    expect(Object.keys(await cluster.reserved(jobs[0].id)).sort()).toEqual([node, idle].sort())
  })

  test('keeps its jobs where there may be no more nodes, which is said once for as long as it lasts', async () => {
    const cluster = await ReportingCluster.start({ classes: [{ ...smallClass, nodesMax: 1 }] })
    const { jobs, node } = await cluster.twoJobs()
    await cluster.pass(30, busy(node, jobs))
    expect(cluster.nodes).toEqual([node])
    expect(await cluster.events('class.scaledOut')).toBe(0)
    expect(await cluster.events('class.full')).toBe(1)
    await cluster.pass(3, busy(node, jobs, RATE * 0.1))
    await cluster.pass(5, busy(node, jobs))
    expect(await cluster.events('class.full')).toBe(2)
  })

  test('whose new node never reports takes its jobs back, and tries another', async () => {
    const cluster = await ReportingCluster.start()
    const { jobs, node } = await cluster.twoJobs()
    cluster.world.fleet.onStart = () => undefined
    const report = cluster.world.report.bind(cluster.world)
    cluster.world.report = async (id, ...rest) =>
      id === node ? await report(id, ...rest) : ((await cluster.world.ask('/healthz')) as never)
    await cluster.pass(5, busy(node, jobs))
    expect(cluster.world.fleet.started).toBe(2)
    const [, silent = ''] = cluster.nodes
    await cluster.pass(NODE_START_MS_MAX / 1000 + 1, busy(node, jobs))
    await eventually(async () =>
      expect(Object.keys(await cluster.reserved(jobs[0].id))).not.toContain(silent),
    )
    expect(await cluster.events('node.lost')).toBe(1)
    await cluster.pass(10, busy(node, jobs))
    expect(cluster.world.fleet.started).toBe(3)
    for (const job of jobs) expect((await cluster.reserved(job.id))[node]).toBe(35 * MIB)
  })

  test('goes on with a move that was under way when the controller was killed, at whichever write', async () => {
    const cluster = await ReportingCluster.start()
    const { world } = cluster
    world.fleet.onStart = (node) => void setImmediate(() => void world.report(node).catch(() => null))
    const { jobs, node } = await cluster.twoJobs()
    for (const write of [1, 2, 3, 4]) {
      for (const when of ['before', 'after'] as const) {
        await cluster.restart(new Life({ write, when }))
        await cluster.pass(6, busy(node, jobs))
      }
    }
    await cluster.restart()
    await cluster.pass(15, busy(node, jobs))
    const fresh = Object.keys(await cluster.reserved(jobs[0].id)).find((each) => each !== node) ?? ''
    expect(cluster.nodes).toContain(fresh)
    const [moved, kept] = jobs
    await cluster.pass(5, new Map([...busy(node, [kept]), ...busy(fresh, [moved])]))
    await eventually(async () => expect(await cluster.reserved(moved.id)).toEqual({ [fresh]: 35 * MIB }))
  })

  test('whose bytes do not leave keeps what it holds, and no more', async () => {
    const cluster = await ReportingCluster.start()
    const { body: job } = await cluster.world.register({
      hints: { ...hinted.hints, capacityBytes: 96 * MIB },
    })
    const [node = ''] = cluster.nodes
    const held: Held = new Map([[node, [{ id: job.id, mib: 80, rate: RATE * 0.9 }]]])
    await cluster.pass(5, held)
    await cluster.pass(
      RELOCATION_REPORTS_MAX,
      new Map([[node, [{ id: job.id, mib: 80, rate: RATE * 0.75 }]]]),
    )
    await eventually(async () => {
      const shares = await cluster.reserved(job.id)
      expect(shares[node]).toBe(80 * MIB)
      expect(Object.values(shares).reduce((sum, bytes) => sum + bytes, 0)).toBe(job.reservation.bytes.ram)
    })
  })
})

describe('a job with bytes on SSD', () => {
  const tiers = {
    ram: { capacityBytes: smallClass.ramBytes, usedBytes: 0 },
    ssd: { capacityBytes: smallClass.ssdBytes, usedBytes: 0 },
  }

  async function oneJob(): Promise<{
    cluster: ReportingCluster
    job: string
    node: string
    bytes: Record<string, number>
  }> {
    const cluster = await ReportingCluster.start({ tiers, warmNodes: 1 })
    await eventually(() => expect(cluster.nodes).toHaveLength(1))
    await cluster.pass(1, new Map())
    const hints = { capacityBytes: 1850 * MIB, peakBytesPerSecond: RATE / 100, latencyMs: 10 }
    const { body } = await cluster.world.register({ hints })
    expect(Object.keys(await cluster.reserved(body.id))).toEqual(cluster.nodes)
    const [node = ''] = cluster.nodes
    return { cluster, job: body.id, node, bytes: body.reservation.bytes }
  }

  test('that keeps its RAM full, as all such jobs do, brings no node', async () => {
    const { cluster, job, node, bytes } = await oneJob()
    const mib = Math.floor((bytes.ram ?? 0) / MIB)
    expect(mib / (smallClass.ramBytes / MIB)).toBeGreaterThan(0.6)
    const held: Held = new Map([[node, [{ id: job, mib, ssdMib: 300, rate: 1000 }]]])
    await cluster.pass(10, held)
    expect(await cluster.events('class.scaledOut')).toBe(0)
  })

  test('gives a part to a new node once its tiers together are above the band, whatever lies in RAM', async () => {
    const { cluster, job, node, bytes } = await oneJob()
    const mib = Math.floor((bytes.ram ?? 0) / MIB)
    const whole = Math.floor(((bytes.ram ?? 0) + (bytes.ssd ?? 0)) / MIB)
    const held: Held = new Map([[node, [{ id: job, mib, ssdMib: whole - mib, rate: 1000 }]]])
    await cluster.pass(3, held)
    expect(await cluster.events('class.scaledOut')).toBe(1)
    const [, fresh = ''] = cluster.nodes
    const half = Math.ceil(whole / 2)
    // All RAM of the old node is still full. The rest of the job is demoted once its share is smaller.
    const after: Held = new Map([
      [node, [{ id: job, mib, ssdMib: half - mib - 20, rate: 1000 }]],
      [fresh, [{ id: job, mib: 100, ssdMib: half - 120, rate: 1000 }]],
    ])
    await cluster.pass(4, after)
    await eventually(async () => {
      const shares = await cluster.reserved(job)
      expect(Object.values(shares).reduce((sum, ram) => sum + ram, 0)).toBe(bytes.ram)
    })
  })
})
