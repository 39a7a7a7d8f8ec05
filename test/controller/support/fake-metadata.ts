import type { MetadataClient } from '../../../controller/metadata-client.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import type { PlacedNode, PlacedShare, Placement } from '../../../protocol/placement.ts'

/** A metadata server that only remembers what it was told. */
export class FakeMetadata implements MetadataClient {
  readonly shares = new Map<string, readonly PlacedShare[]>()
  /** What was asked, in order, as `operation id`. */
  readonly asked: string[] = []
  reachable = true
  /** Nodes from which no slot can move: they go on owning some of every job that knows them. */
  readonly stuck = new Set<string>()

  async createJob(_address: string, job: { id: string; shares: readonly PlacedShare[] }): Promise<Placement> {
    this.#ask(`create ${job.id}`)
    this.shares.set(job.id, job.shares)
    return this.#place(job.id)
  }

  async shareJob(_address: string, job: { id: string; shares: readonly PlacedShare[] }): Promise<Placement> {
    this.#ask(`share ${job.id}`)
    const placement = this.#place(job.id)
    this.shares.set(job.id, job.shares)
    return { ...placement, ...this.#place(job.id) }
  }

  async moveJob(address: string, { id, target }: { id: string; target: PlacedNode }): Promise<void> {
    this.#ask(`move ${id} from ${address} to ${target.id}`)
    this.#place(id)
  }

  async endJob(_address: string, id: string): Promise<void> {
    this.#ask(`end ${id}`)
    this.shares.delete(id)
  }

  async nodesDied(_address: string, nodes: readonly string[]): Promise<void> {
    this.#ask(`died ${nodes.join(' ')}`)
  }

  async jobs(): Promise<string[]> {
    this.#ask('jobs')
    return [...this.shares.keys()]
  }

  async placement(_address: string, id: string): Promise<Placement> {
    this.#ask(`placement ${id}`)
    return this.#place(id)
  }

  #ask(what: string): void {
    this.asked.push(what)
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
