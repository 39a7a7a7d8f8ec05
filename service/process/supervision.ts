/**
 * What `mayfly up` and the processes that it started say to one another over Node's IPC channel. The supervisor is
 * the parent of them all: it outlives the controller, so it is the one that really sees a node exit.
 */
export type FromChild =
  /** The process serves at this address. */
  | { readonly type: 'ready'; readonly address: string }
  /** Only from the controller: start a storage node under this id, stop it, tell which ones run. */
  | { readonly type: 'startNode'; readonly node: string; readonly class: string }
  | { readonly type: 'stopNode'; readonly node: string }
  | { readonly type: 'listNodes' }
  | { readonly type: 'startMetadata'; readonly metadata: string }

export type ToController =
  | { readonly type: 'nodeStarted'; readonly node: string; readonly pid: number }
  /** Proof of death: this very process has exited. Also the answer to a start that failed. */
  | { readonly type: 'nodeExited'; readonly node: string; readonly reason: string }
  | { readonly type: 'nodes'; readonly nodes: readonly { readonly node: string; readonly pid: number }[] }

/** Says something to the supervisor; without one, as when a plane is run by hand, nobody listens. */
export function tellSupervisor(message: FromChild): void {
  process.send?.(message, undefined, undefined, () => undefined)
}
