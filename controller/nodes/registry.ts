import { MayflyError } from '../../protocol/errors.ts'
import type { NodeReport } from '../../protocol/operations/reports.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { isAlive, isOpen, type Node, type NodeRecord } from '../records/node.ts'
import type { NodeClass } from '../sizing/node-class.ts'

export interface NodeRegistryOptions {
  readonly clock: Clock
  readonly stopped: AbortSignal
  /** Whether a job has a share on a node. */
  readonly isReserved: (node: string) => boolean
}

/** The known nodes and their state. `NodeLifecycle` changes it; the other rooms only read. */
export class NodeRegistry {
  readonly #options: NodeRegistryOptions
  readonly #nodes = new Map<string, Node>()
  /** Callbacks of `settled`, run after each change of a node. */
  readonly #waiters = new Set<() => void>()

  constructor(options: NodeRegistryOptions) {
    this.#options = options
    options.stopped.addEventListener('abort', () => this.#wake())
  }

  all(): Node[] {
    return [...this.#nodes.values()].sort((a, b) => a.record.startedAtMs - b.record.startedAtMs)
  }

  get(id: string): Node | undefined {
    return this.#nodes.get(id)
  }

  isAlive(id: string): boolean {
    const node = this.#nodes.get(id)
    return node !== undefined && isAlive(node)
  }

  /** True from the first report of a node until its death. */
  serves(id: string): boolean {
    const state = this.#nodes.get(id)?.record.state
    return state === 'active' || state === 'draining'
  }

  isOpen(id: string): boolean {
    const node = this.#nodes.get(id)
    return node !== undefined && isOpen(node)
  }

  /** Whether a job has a share on the node. */
  isReserved(id: string): boolean {
    return this.#options.isReserved(id)
  }

  /** True while a node drains and jobs still have shares on it. */
  isEmptying(id: string): boolean {
    return this.#nodes.get(id)?.record.state === 'draining' && this.#options.isReserved(id)
  }

  /** Resolves when each of these nodes has reported or is lost. Rejects with `UNAVAILABLE` at the deadline or when the controller stops. */
  async settled(ids: readonly string[], deadlineMs: number): Promise<void> {
    const { clock, stopped } = this.#options
    for (;;) {
      if (stopped.aborted) throw new MayflyError('UNAVAILABLE', 'The controller is stopping')
      const starting = ids.filter((id) => this.#nodes.get(id)?.record.state === 'starting')
      if (starting.length === 0) return
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) {
        throw new MayflyError('UNAVAILABLE', `Storage nodes did not start in time: ${starting.join(', ')}`)
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          this.#waiters.delete(wake)
          resolve()
        }
        const timer = clock.after(leftMs, wake)
        this.#waiters.add(wake)
      })
    }
  }

  add(record: NodeRecord, nodeClass: NodeClass): void {
    const sinceMs = this.#options.clock.monotonicMs()
    this.#nodes.set(record.id, {
      record,
      class: nodeClass,
      report: null,
      reportedMs: null,
      sinceMs,
      isEnding: false,
    })
  }

  /** Changes the record of a node. Null if the node is unknown. */
  change(id: string, change: Partial<NodeRecord>): Node | null {
    const node = this.#nodes.get(id)
    if (node === undefined) return null
    const changed = { ...node, record: { ...node.record, ...change } }
    this.#nodes.set(id, changed)
    this.#wake()
    return changed
  }

  /** Notes that the process of a node ends in any case. */
  setEnding(id: string): void {
    const node = this.#nodes.get(id)
    if (node !== undefined && !node.isEnding) this.#nodes.set(id, { ...node, isEnding: true })
  }

  /** The node is started only now. */
  restartTime(id: string): void {
    const node = this.#nodes.get(id)
    if (node !== undefined) this.#nodes.set(id, { ...node, sinceMs: this.#options.clock.monotonicMs() })
  }

  /** Stores the last report of a known node. */
  setReport(node: Node, report: NodeReport): void {
    this.#nodes.set(node.record.id, { ...node, report, reportedMs: this.#options.clock.monotonicMs() })
  }

  remove(id: string): void {
    this.#nodes.delete(id)
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake()
  }
}

export function unknownNode(id: string): MayflyError {
  return new MayflyError('NODE_NOT_FOUND', `There is no node '${id}'`)
}
