import type { NodeReport } from '../../../protocol/operations/reports.ts'
import { VirtualClock } from './virtual-clock.ts'
import { World, type WorldOptions } from './world.ts'

/** What a job holds and moves, all of it together. */
export interface Held {
  readonly bytes: number
  readonly bytesPerSecond: number
}

/**
 * A cluster in virtual time whose nodes do what metadata says, at once: each holds of each job what its weight comes to. So
 * whatever changes in it from one second to the next the controller has decided.
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

  /** Seconds in which jobs hold and move this. */
  async pass(seconds: number, held: ReadonlyMap<string, Held>): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await Promise.all([
        this.world.reportMetadata(),
        ...this.nodes.map((node) => this.#report(node, held).catch(() => null)),
      ])
      await this.clock.advance(1_000)
    }
  }

  /** How many events there were since the controller started, by their type. */
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
