import { expect } from 'vitest'
import { Life } from './mortal.ts'
import { VirtualClock } from './virtual-clock.ts'
import { eventually, MIB, smallClass, World, type WorldOptions } from './world.ts'

export const RATE = smallClass.bytesPerSecond
export const hinted = { hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: RATE / 10 } }

/** The jobs that each node reports, with what they store (MiB) and transfer (bytes/s). */
export type Held = ReadonlyMap<string, readonly { id: string; mib: number; rate: number; ssdMib?: number }[]>

/** A controller with nodes that report, once a second, the usage that the test defines. */
export class ReportingCluster {
  readonly clock: VirtualClock
  readonly world: World
  readonly #hasSsd: boolean
  #life = new Life(null)

  private constructor(world: World, { clock, tiers }: WorldOptions & { clock: VirtualClock }) {
    this.world = world
    this.#hasSsd = tiers?.ssd !== undefined
    this.clock = clock
  }

  static async start(options: WorldOptions = {}): Promise<ReportingCluster> {
    const clock = new VirtualClock()
    return new ReportingCluster(
      await World.start({ classes: [{ ...smallClass, nodesMax: 4 }], clock, ...options }),
      {
        ...options,
        clock,
      },
    )
  }

  get nodes(): string[] {
    return [...this.world.fleet.running.keys()]
  }

  /** Restarts the controller; `life` ends it at a chosen write. */
  async restart(life = new Life(null)): Promise<void> {
    this.#life = life
    // Reports that the stopped controller has not answered reach their deadline.
    await Promise.all([this.world.stop(), this.clock.advance(2_000)])
    await this.world.startController({ life })
  }

  /** Lets the nodes report `held` for that many seconds, or until the controller is killed. */
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

  /** Registers two jobs of a tenth of a node each, on the only node. */
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

export const busy = (node: string, jobs: readonly { id: string }[], rate = RATE * 0.45): Held =>
  new Map([[node, jobs.map(({ id }) => ({ id, mib: 10, rate }))]])
