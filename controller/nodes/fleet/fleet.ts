/** A node's process, as the fleet sees it. */
export interface FleetNode {
  readonly node: string
  /** Null if the fleet is not on this machine. */
  readonly pid: number | null
  /** Whether it was made from settings that have changed since; missing for one that was not. */
  readonly isOutdated?: boolean
}

export interface FleetWatcher {
  started(node: FleetNode): void
  /** Proof of death: this process has exited, or it never started. */
  exited(node: string, reason: string): void
  /** The fleet cannot see the node any more, or has given its start up. Nothing proves that no such process runs. */
  gone(node: string, reason: string): void
  /** Every node that the fleet sees, where `list` could not say it. */
  listed(nodes: readonly FleetNode[]): void
}

/** Starts and stops storage nodes and starts metadata servers. `watch` delivers the events of nodes in order. */
export interface Fleet {
  /** Whether it starts no process: nodes and metadata servers are started by others, and join with their first report. */
  readonly isFixed: boolean
  /** Whether it sees every exit, so that a node that it does not list is dead. Without that the lease of a node decides. */
  readonly seesExits: boolean
  /** From the start of a node to its first report; then the node is given up. */
  readonly startMsMax: number
  /** How long whoever needs new nodes waits for them. */
  readonly capacityMsMax: number
  /** Called once, before any other method. */
  watch(watcher: FleetWatcher): void
  start(node: string, nodeClass: string): void
  /** Asks the process to stop, and kills it if it does not. */
  stop(node: string): void
  /** Starts a metadata server unless it runs. It reports by itself and is restarted when it dies. */
  startMetadata(metadata: string): void
  /** Every node with a running process. Null if the fleet cannot tell, or not yet. Rejects with `UNAVAILABLE`. */
  list(): Promise<readonly FleetNode[] | null>
  /** Delivers no more events. Nothing that runs is stopped. */
  close(): void
}
