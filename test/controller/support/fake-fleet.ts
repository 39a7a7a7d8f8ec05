import type { Fleet, FleetNode, FleetWatcher } from '../../../controller/nodes/fleet/fleet.ts'
import { NODE_START_MS_MAX } from '../../../protocol/limits.ts'

/** A fleet without processes: the test decides when a node reports and when it dies. */
export class FakeFleet implements Fleet {
  readonly isFixed: boolean = false
  /** Whether the death of a node that is lost without a trace is known. */
  seesExits = true
  readonly startMsMax = NODE_START_MS_MAX
  readonly capacityMsMax = NODE_START_MS_MAX
  readonly running = new Map<string, FleetNode & { readonly class: string }>()
  /** Called after a node was started; does nothing by default. */
  onStart: (node: string) => void = () => undefined
  readonly metadataStarted: string[] = []
  /** Number of starts that were requested. */
  started = 0
  #watcher: FleetWatcher | null = null

  watch(watcher: FleetWatcher): void {
    this.#watcher = watcher
  }

  start(node: string, nodeClass: string): void {
    this.started++
    const process = { node, pid: 40_000 + this.started, class: nodeClass }
    this.running.set(node, process)
    this.#watcher?.started(process)
    this.onStart(node)
  }

  stop(node: string): void {
    if (this.running.has(node)) setImmediate(() => this.kill(node, 'it was stopped'))
  }

  startMetadata(metadata: string): void {
    this.metadataStarted.push(metadata)
  }

  async list(): Promise<readonly FleetNode[]> {
    return [...this.running.values()]
  }

  /** A node of which nothing is seen any more. */
  lose(node: string): void {
    if (this.running.delete(node)) this.#watcher?.gone(node, 'its pod was deleted')
  }

  /** A node that was not asked for, or whose settings are those of before. */
  appear(node: FleetNode & { class: string }): void {
    this.running.set(node.node, node)
    this.#watcher?.started(node)
  }

  close(): void {
    // There is nothing to close.
  }

  kill(node: string, reason = 'signal SIGKILL'): void {
    if (this.running.delete(node)) this.#watcher?.exited(node, reason)
  }
}
