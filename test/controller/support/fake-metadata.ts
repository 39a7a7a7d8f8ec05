import type { MetadataClient } from '../../../controller/metadata/client.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import type { PlacedNode, PlacedShare, Placement } from '../../../protocol/model/placement.ts'

/** A metadata server that only records what it is told. */
export class FakeMetadata implements MetadataClient {
  readonly shares = new Map<string, readonly PlacedShare[]>()
  /** The requests in order, each as `operation id`. */
  readonly asked: string[] = []
  reachable = true
  /** Called when the shares of a job have been applied. */
  onShared: () => void = () => undefined
  /** Addresses of servers that accept requests and do not answer them. */
  readonly hanging = new Set<string>()
  /** Nodes from which no slot can move: they continue to own some slots of every job that they have. */
  readonly stuck = new Set<string>()

  async createJob(address: string, job: { id: string; shares: readonly PlacedShare[] }): Promise<Placement> {
    await this.#ask(address, `create ${job.id}`)
    this.shares.set(job.id, job.shares)
    return this.#place(job.id)
  }

  async shareJob(address: string, job: { id: string; shares: readonly PlacedShare[] }): Promise<Placement> {
    await this.#ask(address, `share ${job.id}`)
    const placement = this.#place(job.id)
    this.shares.set(job.id, job.shares)
    this.onShared()
    return { ...placement, ...this.#place(job.id) }
  }

  async moveJob(address: string, { id, target }: { id: string; target: PlacedNode }): Promise<void> {
    await this.#ask(address, `move ${id} from ${address} to ${target.id}`)
    this.#place(id)
  }

  async endJob(address: string, id: string): Promise<void> {
    await this.#ask(address, `end ${id}`)
    this.shares.delete(id)
  }

  async nodesDied(address: string, nodes: readonly string[]): Promise<void> {
    await this.#ask(address, `died ${nodes.join(' ')}`)
  }

  async jobs(address: string): Promise<string[]> {
    await this.#ask(address, 'jobs')
    return [...this.shares.keys()]
  }

  async placement(address: string, id: string): Promise<Placement> {
    await this.#ask(address, `placement ${id}`)
    return this.#place(id)
  }

  #ask(address: string, what: string): Promise<void> | void {
    this.asked.push(what)
    if (this.hanging.has(address)) return new Promise(() => undefined)
    if (!this.reachable) throw new MayflyError('UNAVAILABLE', 'The connection was refused')
  }

  #place(id: string): Placement {
    const shares = this.shares.get(id)
    if (shares === undefined) throw new MayflyError('JOB_ENDED', `Job ${id} has ended`)
    const nodes = shares
      .filter(({ node, weight }) => weight > 0 || this.stuck.has(node))
      .map(({ node, address }) => ({ id: node, address }))
    return {
      epoch: 1,
      nodes,
      owners: Uint16Array.from({ length: 1024 }, (_, slot) => slot % Math.max(1, nodes.length)),
    }
  }
}
