import { unreachable } from '../../protocol/assert.ts'
import type { ToController } from '../../service/process/supervision.ts'
import type { Child, NodeRequest } from './child.ts'

export interface NodeProcessesOptions {
  /** Starts a storage node. Throws for an unknown class, or if the process cannot be created. */
  readonly spawn: (node: string, nodeClass: string) => Child
  /** Sends to the current controller. Messages without a controller are dropped; the next controller asks for the list. */
  readonly tell: (message: ToController) => void
  /** Called after a node has exited, with whether it failed. */
  readonly onExited: (node: string, failed: boolean) => void
}

/**
 * The storage nodes of this machine. The controller decides which ones run. They are children of this process, which outlives the
 * controller and, as their parent, observes their exit reliably.
 */
export class NodeProcesses {
  readonly #options: NodeProcessesOptions
  readonly #children = new Map<string, Child>()
  #stopping = false

  constructor(options: NodeProcessesOptions) {
    this.#options = options
  }

  /** Carries out a request of the controller. Every query is answered, also a repeated one. */
  handle(message: NodeRequest): void {
    switch (message.type) {
      case 'startNode':
        return this.#start(message.node, message.class)
      case 'stopNode':
        return this.#stop(message.node)
      case 'listNodes':
        return this.#options.tell({ type: 'nodes', nodes: this.#list() })
      default:
        return unreachable(message)
    }
  }

  /** Stops every node and starts no more. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all([...this.#children.values()].map((child) => child.stop()))
  }

  kill(): void {
    this.#stopping = true
    for (const child of this.#children.values()) child.kill()
  }

  #start(node: string, nodeClass: string): void {
    const running = this.#children.get(node)?.pid
    if (running !== undefined) return this.#options.tell({ type: 'nodeStarted', node, pid: running })
    if (this.#stopping) return this.#exited(node, 'the cluster is stopping')
    try {
      this.#spawn(node, nodeClass)
    } catch (error) {
      this.#exited(node, error instanceof Error ? error.message : String(error))
    }
  }

  #spawn(node: string, nodeClass: string): void {
    const child = this.#options.spawn(node, nodeClass)
    this.#children.set(node, child)
    void child.exited.then(({ reason, failed }) => {
      this.#children.delete(node)
      this.#exited(node, reason)
      this.#options.onExited(node, failed)
    })
    if (child.pid !== undefined) this.#options.tell({ type: 'nodeStarted', node, pid: child.pid })
  }

  /** The exit is reported by the process itself; an unknown node has exited already. */
  #stop(node: string): void {
    const child = this.#children.get(node)
    if (child === undefined) return this.#exited(node, 'it does not run')
    void child.stop()
  }

  #exited(node: string, reason: string): void {
    this.#options.tell({ type: 'nodeExited', node, reason })
  }

  #list(): { node: string; pid: number }[] {
    return [...this.#children].flatMap(([node, { pid }]) => (pid === undefined ? [] : [{ node, pid }]))
  }
}
