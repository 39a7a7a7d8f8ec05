/**
 * Messages between `mayfly up` and its child processes over Node's IPC channel. The supervisor is the parent
 * of all of them and outlives the controller, so it observes every node's exit.
 */
export type FromChild =
  /** The process serves at this address. */
  | { readonly type: 'ready'; readonly address: string }
  /** Only from the controller: start a storage node under this id, stop it, list the running ones. */
  | { readonly type: 'startNode'; readonly node: string; readonly class: string }
  | { readonly type: 'stopNode'; readonly node: string }
  | { readonly type: 'listNodes' }
  | { readonly type: 'startMetadata'; readonly metadata: string }

/** Messages of a worker to the process that started it (`startWorkers`). */
export type FromWorker =
  | Extract<FromChild, { type: 'ready' }>
  /** It could not start, and exits. */
  | { readonly type: 'failed'; readonly reason: string }

export type ToController =
  | { readonly type: 'nodeStarted'; readonly node: string; readonly pid: number }
  /** Proof of death: this process has exited. Also the answer to a failed start. */
  | { readonly type: 'nodeExited'; readonly node: string; readonly reason: string }
  | { readonly type: 'nodes'; readonly nodes: readonly { readonly node: string; readonly pid: number }[] }

/** Sends a message to the supervisor; ignored without one, when a plane is run by hand. */
export function tellSupervisor(message: FromChild | FromWorker): void {
  process.send?.(message, undefined, undefined, () => undefined)
}
