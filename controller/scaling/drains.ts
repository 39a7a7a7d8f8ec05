import { MayflyError } from '../../protocol/errors.ts'
import type { NodeReport } from '../../protocol/operations/reports.ts'
import { DRAIN_EMPTY_REPORTS } from '../limits.ts'
import { unknownNode } from '../nodes/registry.ts'
import type { DrainTarget } from '../placement/placer.ts'
import { loadOf, type Node } from '../records/node.ts'
import type { Reconciler, ReconcilerOptions } from './reconciler.ts'
import { removeShare } from './remove-share.ts'

export interface DrainsOptions extends ReconcilerOptions {
  readonly reconciler: Reconciler
}

/**
 * Empties nodes so that they can be stopped. Progress is derived from the store: a draining node with shares is being emptied, one without
 * is to be stopped. A restarted controller resumes from there.
 */
export class Drains {
  readonly #options: DrainsOptions
  /** Consecutive reports without a job, by draining node. */
  readonly #emptyReports = new Map<string, number>()
  readonly #removing = new Set<string>()
  readonly #beginning = new Set<string>()

  constructor(options: DrainsOptions) {
    this.#options = options
  }

  /**
   * Starts a drain; resolves once it is stored. No effect on a node that already drains. Its shares move to nodes of `onto`. Throws
   * `NODE_NOT_FOUND`, `BAD_REQUEST` for a node that is not active, `RESERVATION_REFUSED` if there is no capacity for its jobs.
   */
  async begin(id: string, onto: DrainTarget): Promise<Node> {
    const { ledger, nodeLifecycle, placer, jobs, reconciler, log } = this.#options
    if (this.#require(id).record.state === 'draining') return this.#require(id)
    await jobs.resized()
    if (this.#require(id).record.state === 'draining') return this.#require(id)
    const moved: string[] = []
    try {
      await nodeLifecycle.beginDrain(id, async (record) => {
        const sharesOf = placer.proposeMoveOff(id, onto)
        moved.push(...sharesOf.keys())
        await ledger.reshare(sharesOf, record)
      })
    } finally {
      // Also if the shares could not be stored: metadata may have been sent them meanwhile.
      for (const job of moved) reconciler.reconcile(job)
    }
    log.info({ node: id, jobs: moved.length }, 'a storage node drains')
    const node = this.#require(id)
    this.#advance(node)
    return node
  }

  /**
   * The process of a node ends in any case: its drain begins, also onto new nodes. Without capacity it is tried again with the next report.
   */
  beginEnding(id: string): void {
    const { nodes, background } = this.#options
    nodes.setEnding(id)
    if (nodes.get(id)?.record.state !== 'active' || this.#beginning.has(id)) return
    this.#beginning.add(id)
    void background
      .attempt(['drainEnding', id], () => this.begin(id, 'any'))
      .finally(() => this.#beginning.delete(id))
  }

  /** Applies a report of a node. */
  onReport(id: string, report: NodeReport): void {
    const { nodes } = this.#options
    if (!nodes.isEmptying(id)) return
    this.#emptyReports.set(id, report.jobs.length === 0 ? (this.#emptyReports.get(id) ?? 0) + 1 : 0)
    this.#removeSharesIfEmpty(id)
  }

  /** To be called every `HEARTBEAT_MS`: reports progress, and stops nodes without reservations. */
  round(): void {
    const draining = this.#options.nodeLifecycle.draining()
    const ids = new Set(draining.map(({ record }) => record.id))
    for (const id of this.#emptyReports.keys()) if (!ids.has(id)) this.#emptyReports.delete(id)
    for (const node of draining) this.#advance(node)
  }

  #advance(node: Node): void {
    const { nodes, events, log, nodeLifecycle } = this.#options
    const { id } = node.record
    if (nodes.isEmptying(id)) {
      const load = loadOf(node)
      if (load !== null) events.emit('node.draining', { node: id, ...load })
      return this.#removeSharesIfEmpty(id)
    }
    log.info({ node: id }, 'a storage node is empty and stops')
    events.emit('node.drained', { node: id })
    nodeLifecycle.stopInBackground(id)
  }

  #removeSharesIfEmpty(id: string): void {
    const { ledger, nodes, background, nodeLifecycle } = this.#options
    if ((this.#emptyReports.get(id) ?? 0) < DRAIN_EMPTY_REPORTS || this.#removing.has(id)) return
    this.#removing.add(id)
    const jobs = ledger.living().filter(({ shares }) => shares.some(({ node }) => node === id))
    void background
      .attempt(['removeShares', id], async () => {
        await Promise.all(jobs.map((job) => removeShare({ job: job.id, node: id }, this.#options)))
        const node = nodeLifecycle.draining().find(({ record }) => record.id === id)
        if (node !== undefined && !nodes.isEmptying(id)) this.#advance(node)
      })
      .finally(() => this.#removing.delete(id))
  }

  #require(id: string): Node {
    const node = this.#options.nodes.get(id)
    if (node === undefined) throw unknownNode(id)
    const { state } = node.record
    if (state === 'active' || state === 'draining') return node
    throw new MayflyError('BAD_REQUEST', `id: node ${id} is ${state}; only an active node can be drained`)
  }
}
