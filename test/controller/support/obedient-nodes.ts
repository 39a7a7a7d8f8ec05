import type { NodeReport } from '../../../protocol/operations/reports.ts'
import { VirtualClock } from './virtual-clock.ts'
import { World, type WorldOptions } from './world.ts'

/** The bytes that a whole job stores and its bytes per second. */
export interface Held {
  readonly bytes: number
  readonly bytesPerSecond: number
}

/**
 * A cluster in virtual time whose nodes follow metadata at once: each node stores the part of a job that its weight gives it. So every change from one second
 * to the next is a decision of the controller.
 */
export class ObedientNodes {
  readonly world: World
  readonly clock: VirtualClock
  readonly #tiers: NodeReport['tiers']

  private constructor(world: World, { clock, tiers }: { clock: VirtualClock; tiers: NodeReport['tiers'] }) {
    this.world = world
    this.clock = clock
    this.#tiers = tiers
  }

  static async start(
    options: WorldOptions & { readonly tiers: NodeReport['tiers'] },
  ): Promise<ObedientNodes> {
    const clock = new VirtualClock()
    return new ObedientNodes(await World.start({ ...options, clock }), { clock, tiers: options.tiers })
  }

  get nodes(): string[] {
    return [...this.world.fleet.running.keys()]
  }

  /** Advances by seconds in which the jobs have this usage. */
  async pass(seconds: number, held: ReadonlyMap<string, Held>): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await Promise.all([
        this.world.reportMetadata(),
        ...this.nodes.map((node) => this.#report(node, held).catch(() => null)),
      ])
      await this.clock.advance(1_000)
    }
  }

  /** Number of events since the controller started, by type. */
  async events(): Promise<ReadonlyMap<string, number>> {
    const { text } = await this.world.ask('/metrics')
    const counts = text.matchAll(/mayfly_events_total\{type="([\w.]+)"\} (\d+)/g)
    return new Map([...counts].map(([, type = '', count]) => [type, Number(count)]))
  }

  async #report(node: string, held: ReadonlyMap<string, Held>): Promise<void> {
    const jobs = [...held].flatMap(([id, { bytes, bytesPerSecond }]) => {
      const shares = this.world.metadata.shares.get(id) ?? []
      const weights = shares.reduce((sum, { weight }) => sum + weight, 0)
      const share = shares.find((each) => each.node === node)
      if (share === undefined || share.weight === 0) return []
      const part = share.weight / weights
      const ram = Math.min(bytes * part, share.ramBytes)
      const below = bytes * part - ram
      const onSsd = this.#tiers.ssd === undefined || below === 0 ? {} : { ssd: below }
      return [{ id, objects: 1, bytes: { ram, ...onSsd }, bytesPerSecond: bytesPerSecond * part }]
    })
    await this.world.report(node, jobs, this.#tiers)
  }
}
