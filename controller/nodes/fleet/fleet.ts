/** A node's process, as the fleet sees it. */
export interface FleetNode {
  readonly node: string
  /** Null where the fleet is not on this machine. */
  readonly pid: number | null
}

export interface FleetWatcher {
  started(node: FleetNode): void
  /** Proof of death: this very process has exited, or it never came to be. */
  exited(node: string, reason: string): void
}

/** What starts and stops storage nodes, and starts metadata servers. What becomes of nodes comes through `watch`, in the order it happened. */
export interface Fleet {
  /** Called once, before everything else. */
  watch(watcher: FleetWatcher): void
  start(node: string, nodeClass: string): void
  /** Asks it to stop, and ends it after `PROCESS_STOP_MS_MAX`. */
  stop(node: string): void
  /** Starts a metadata server, if it does not run; it reports by itself, and is started again when it dies. */
  startMetadata(metadata: string): void
  /** Every node whose process runs; one that is not in it is dead. Rejects with `UNAVAILABLE`. */
  list(): Promise<readonly FleetNode[]>
}
