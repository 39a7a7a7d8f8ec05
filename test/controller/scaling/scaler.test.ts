import { describe, expect, test } from 'vitest'
import { BELOW_ROUNDS } from '../../../controller/scaling/policy.ts'
import { NODE_START_MS_MAX, RELOCATION_REPORTS_MAX } from '../../../protocol/limits.ts'
import { Life } from '../support/mortal.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { eventually, MIB, smallClass, World, type WorldOptions } from '../support/world.ts'

const RATE = smallClass.bytesPerSecond
const hinted = { hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: RATE / 10 } }

/** What a job holds and moves on each node, as a test has it. */
type Held = ReadonlyMap<string, readonly { id: string; mib: number; rate: number; ssdMib?: number }[]>

/** A cluster whose nodes report what a test says, second by second. */
class Cluster {
  readonly clock: VirtualClock
  readonly world: World
  readonly #hasSsd: boolean
  #life = new Life(null)

  private constructor(world: World, { clock, tiers }: WorldOptions & { clock: VirtualClock }) {
    this.world = world
    this.#hasSsd = tiers?.ssd !== undefined
    this.clock = clock
  }

  static async start(options: WorldOptions = {}): Promise<Cluster> {
    const clock = new VirtualClock()
    return new Cluster(await World.start({ classes: [{ ...smallClass, nodesMax: 4 }], clock, ...options }), {
      ...options,
      clock,
    })
  }

  get nodes(): string[] {
    return [...this.world.fleet.running.keys()]
  }

  /** Starts the controller again; it then lives as long as `life` lets it. */
  async restart(life = new Life(null)): Promise<void> {
    this.#life = life
    // Heartbeats that the dead process left without an answer are cut off after a while.
    await Promise.all([this.world.stop(), this.clock.advance(2_000)])
    await this.world.startController({ life })
  }

  /** Seconds in which the nodes hold and move this; until the controller is dead. */
  async pass(seconds: number, held: Held | (() => Held)): Promise<void> {
    for (let second = 0; second < seconds && !this.#life.over; second++) {
      const of = typeof held === 'function' ? held() : held
      const reported = Promise.all(
        this.nodes.map((node) => {
          const jobs = (of.get(node) ?? []).map(({ id, mib, ssdMib, rate }) => ({
            id,
            objects: mib,
            bytes: { ram: mib * MIB, ...(ssdMib !== undefined && { ssd: ssdMib * MIB }) },
            bytesPerSecond: rate,
          }))
          const used = (tier: 'ram' | 'ssd'): number =>
            jobs.reduce((sum, { bytes }) => sum + (bytes[tier] ?? 0), 0)
          const tiers = {
            ram: { capacityBytes: smallClass.ramBytes, usedBytes: used('ram') },
            ...(this.#hasSsd && { ssd: { capacityBytes: smallClass.ssdBytes, usedBytes: used('ssd') } }),
          }
          return this.world.report(node, jobs, tiers).catch(() => null)
        }),
      )
      const died = eventually(() => expect(this.#life.over).toBe(true), 20_000).catch(() => null)
      await Promise.race([reported, died])
      await this.clock.advance(1_000)
    }
  }

  async events(type: string): Promise<number> {
    const { text } = await this.world.ask('/metrics')
    return Number(new RegExp(`mayfly_events_total{type="${type}"} (\\d+)`).exec(text)?.[1])
  }

  /** Two jobs of a tenth of a node each, on the one node that there is. */
  async twoJobs() {
    const jobs = [(await this.world.register(hinted)).body, (await this.world.register(hinted)).body]
    const [node = ''] = this.nodes
    return { jobs, node }
  }

  async reserved(job: string): Promise<Record<string, number>> {
    const { reservation } = (await this.world.ask(`/v1/jobs/${job}`)).body
    return Object.fromEntries(
      reservation.nodes.map((share: { node: string; bytes: { ram: number } }) => [
        share.node,
        share.bytes.ram,
      ]),
    )
  }
}

const busy = (node: string, jobs: readonly { id: string }[], rate = RATE * 0.45): Held =>
  new Map([[node, jobs.map(({ id }) => ({ id, mib: 10, rate }))]])

describe('a node that is too busy', () => {
  test('gives a whole job to a new node after three seconds, which ends where it was once it has left', async () => {
    const cluster = await Cluster.start()
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
  }, 60_000)

  test('gives a part of a job that is alone, and what has left is counted there until it has', async () => {
    const cluster = await Cluster.start()
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
  }, 30_000)

  test('takes an idle node before it starts one', async () => {
    const cluster = await Cluster.start({ warmNodes: 2 })
    await eventually(() => expect(cluster.nodes).toHaveLength(2))
    await cluster.pass(1, new Map())
    const { jobs } = await cluster.twoJobs()
    const [node = ''] = Object.keys(await cluster.reserved(jobs[0].id))
    await cluster.pass(5, busy(node, jobs))
    const idle = cluster.nodes.find((each) => each !== node)
    expect(Object.keys(await cluster.reserved(jobs[0].id)).sort()).toEqual([node, idle].sort())
  }, 30_000)

  test('keeps its jobs where there may be no more nodes, which is said once for as long as it lasts', async () => {
    const cluster = await Cluster.start({ classes: [{ ...smallClass, nodesMax: 1 }] })
    const { jobs, node } = await cluster.twoJobs()
    await cluster.pass(30, busy(node, jobs))
    expect(cluster.nodes).toEqual([node])
    expect(await cluster.events('class.scaledOut')).toBe(0)
    expect(await cluster.events('class.full')).toBe(1)
    await cluster.pass(3, busy(node, jobs, RATE * 0.1))
    await cluster.pass(5, busy(node, jobs))
    expect(await cluster.events('class.full')).toBe(2)
  }, 30_000)

  test('whose new node never reports takes its jobs back, and tries another', async () => {
    const cluster = await Cluster.start()
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
  }, 30_000)

  test('goes on with a move that was under way when the controller was killed, at whichever write', async () => {
    const cluster = await Cluster.start()
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
  }, 60_000)

  test('whose bytes do not leave keeps what it holds, and no more', async () => {
    const cluster = await Cluster.start()
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
  }, 60_000)
})

describe('a job with bytes on SSD', () => {
  const tiers = {
    ram: { capacityBytes: smallClass.ramBytes, usedBytes: 0 },
    ssd: { capacityBytes: smallClass.ssdBytes, usedBytes: 0 },
  }

  async function oneJob(): Promise<{
    cluster: Cluster
    job: string
    node: string
    bytes: Record<string, number>
  }> {
    const cluster = await Cluster.start({ tiers, warmNodes: 1 })
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
  }, 30_000)

  test('gives a part to a new node once its tiers together are above the band, whatever lies in RAM', async () => {
    const { cluster, job, node, bytes } = await oneJob()
    const mib = Math.floor((bytes.ram ?? 0) / MIB)
    const whole = Math.floor(((bytes.ram ?? 0) + (bytes.ssd ?? 0)) / MIB)
    const held: Held = new Map([[node, [{ id: job, mib, ssdMib: whole - mib, rate: 1000 }]]])
    await cluster.pass(3, held)
    expect(await cluster.events('class.scaledOut')).toBe(1)
    const [, fresh = ''] = cluster.nodes
    const half = Math.ceil(whole / 2)
    // The old node still has all of its RAM filled: what is left of the job moves down once its share is smaller.
    const after: Held = new Map([
      [node, [{ id: job, mib, ssdMib: half - mib - 20, rate: 1000 }]],
      [fresh, [{ id: job, mib: 100, ssdMib: half - 120, rate: 1000 }]],
    ])
    await cluster.pass(4, after)
    await eventually(async () => {
      const shares = await cluster.reserved(job)
      expect(Object.values(shares).reduce((sum, ram) => sum + ram, 0)).toBe(bytes.ram)
    })
  }, 30_000)
})

describe('nodes of which one is above the band and another is not', () => {
  /** Five jobs on two nodes, which move so many times what a node can in all. */
  async function twoNodes(options: WorldOptions = {}) {
    const cluster = await Cluster.start(options)
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
  }, 30_000)

  test('are evened out as well where the class is above it and may have no more', async () => {
    const { cluster, moving, full, other, hasMoved } = await twoNodes({
      classes: [{ ...smallClass, nodesMax: 2 }],
    })
    await cluster.pass(12, new Map([moving(full, 0.99), moving(other, 0.65)]))
    expect(await cluster.events('class.full')).toBe(1)
    expect(await hasMoved()).toBe(true)
  }, 30_000)
})

describe('a class with too many nodes', () => {
  async function twoNodes(): Promise<{ cluster: Cluster; held: Held; nodes: string[] }> {
    const cluster = await Cluster.start()
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
  }, 30_000)

  test('keeps them while what is reserved has no room elsewhere', async () => {
    const cluster = await Cluster.start()
    const large = { hints: { capacityBytes: 150 * MIB, peakBytesPerSecond: 10 } }
    await cluster.world.register(large)
    await cluster.world.register(large)
    await cluster.pass(60, new Map())
    expect(cluster.nodes).toHaveLength(2)
    expect(await cluster.events('node.draining')).toBe(0)
    expect(await cluster.events('node.starting')).toBe(2)
  }, 30_000)

  test('leaves the others alone while an operator drains one of them', async () => {
    const { cluster, held, nodes } = await twoNodes()
    const other = nodes.find((node) => !held.has(node)) ?? ''
    const stuck = { id: (await cluster.world.ask('/v1/jobs')).body.jobs[0].id, mib: 1, rate: 0 }
    expect((await cluster.world.ask(`/v1/nodes/${other}/drain`, { method: 'POST' })).status).toBe(202)
    await cluster.pass(60, new Map([...held, [other, [stuck]]]))
    expect(await cluster.events('class.scaledIn')).toBe(0)
    expect(cluster.nodes).toContain(other)
  }, 30_000)
})

describe('a job without a hint of its size', () => {
  test('grows as it fills, over the node that it began on, and gives back what it does not need when it is past its peak', async () => {
    const cluster = await Cluster.start()
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
  }, 60_000)

  test('that may not grow stays as it is, and is tried again when there is room', async () => {
    const cluster = await Cluster.start({ classes: [{ ...smallClass, nodesMax: 1 }] })
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
  }, 30_000)
})
