/** What is started and stopped so that the next registration finds a node, and nothing more runs than that. */
export interface WarmDecision {
  readonly stop: readonly string[]
  readonly start: number
}

/**
 * Keeps at least `warmNodes` nodes running, so that a first registration waits for no process to start, and of
 * those without any reservation at most as many. The oldest stay: they are the ones that serve already.
 */
export function balanceWarm(state: {
  /** Nodes that may take shares, in the order in which they are filled. */
  readonly open: readonly string[]
  readonly reserved: ReadonlySet<string>
  readonly warmNodes: number
  /** How many may be started. */
  readonly room: number
}): WarmDecision {
  const { open, reserved, warmNodes, room } = state
  const idle = open.filter((node) => !reserved.has(node))
  return {
    stop: idle.slice(warmNodes),
    start: Math.min(room, Math.max(0, warmNodes - open.length)),
  }
}
