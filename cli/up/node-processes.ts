import { unreachable } from '../../protocol/assert.ts'
import type { ToController } from '../../service/process/supervision.ts'
import type { Child, NodeRequest } from './child.ts'

export interface NodeProcessesOptions {
  /** Starts a storage node. Throws if there is no such class or the process cannot be made. */
  readonly spawn: (node: string, nodeClass: string) => Child
  /** To the controller of the moment. What is said while there is none is lost; the next one asks for the list. */
  readonly tell: (message: ToController) => void
  /** Called after a node ended, with whether it failed. */
  readonly onExited: (node: string, failed: boolean) => void
}

/**
 * The storage nodes of this machine. The controller decides which ones run; they live here because this process
 * outlives the controller and, as their parent, is the one that really sees a node exit.
 */
export class NodeProcesses {
  readonly #options: NodeProcessesOptions
  readonly #children = new Map<string, Child>()
  #stopping = false

  constructor(options: NodeProcessesOptions) {
    this.#options = options
  }

  /** Does what the controller asks; every question is answered, also one that was asked before. */
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

  /** The exit of the process is what tells the controller; a node that is not here has exited already. */
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
