import { type Fleet, type Plan, packAll } from '../packing/packing.ts'
import type { ResourceVector } from '../sizing/node-class.ts'

/** The nodes to start and stop so that the next registrations need not wait for a process. */
export interface WarmDecision {
  readonly stop: readonly string[]
  readonly start: number
}

/**
 * Keeps exactly `warmNodes` nodes without a reservation, as far as the class allows, beside the nodes on which jobs are expected. The
 * oldest nodes stay, as they already serve.
 */
export function planWarmNodes(state: {
  /** Nodes that may take shares, in fill order. */
  readonly open: readonly string[]
  readonly reserved: ReadonlySet<string>
  readonly warmNodes: number
  /** Number of nodes that may be started. */
  readonly room: number
  /** Nodes on which jobs are expected. */
  readonly expected: ReadonlySet<string>
}): WarmDecision {
  const { open, reserved, warmNodes, room, expected } = state
  const idle = open.filter((node) => !reserved.has(node) && !expected.has(node))
  return {
    stop: idle.slice(warmNodes),
    start: Math.min(room, Math.max(0, warmNodes - idle.length)),
  }
}

/** Where expected jobs would be placed: running nodes and nodes to start. */
interface ExpectedNodes {
  readonly used: ReadonlySet<string>
  readonly started: Plan['started']
}

/** Packs the expected jobs as if they were registered now. A job that does not fit is skipped. */
export function planExpectedNodes(
  demands: readonly ResourceVector[],
  fleet: Fleet,
  newNode: () => string,
): ExpectedNodes {
  let into = fleet
  const taken = new Set<string>()
  const started: Plan['started'][number][] = []
  for (const demand of demands) {
    const plan = packAll([demand], into, newNode)
    if ('shortage' in plan) continue
    started.push(...plan.started)
    for (const share of plan.shares.flat()) taken.add(share.node)
    into = plan.left
  }
  return { used: taken, started }
}
