/** A node's process, as the fleet sees it. */
export interface FleetNode {
  readonly node: string
  /** Null if the fleet is not on this machine. */
  readonly pid: number | null
}

export interface FleetWatcher {
  started(node: FleetNode): void
  /** Proof of death: this process has exited, or it never started. */
  exited(node: string, reason: string): void
}

/** Starts and stops storage nodes and starts metadata servers. `watch` delivers the events of nodes in order. */
export interface Fleet {
  /** Whether it starts no process: nodes and metadata servers are started by others, and join with their first report. */
  readonly isFixed: boolean
  /** Called once, before any other method. */
  watch(watcher: FleetWatcher): void
  start(node: string, nodeClass: string): void
  /** Asks the process to stop, and kills it after `PROCESS_STOP_MS_MAX`. */
  stop(node: string): void
  /** Starts a metadata server unless it runs. It reports by itself and is restarted when it dies. */
  startMetadata(metadata: string): void
  /** Every node with a running process; a node that is not listed is dead. Null if the fleet cannot tell. Rejects with `UNAVAILABLE`. */
  list(): Promise<readonly FleetNode[] | null>
}
