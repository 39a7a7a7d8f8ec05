import { type Fleet, type Plan, packAll } from '../packing/packing.ts'
import type { ResourceVector } from '../sizing/node-class.ts'

/** What is started and stopped so that the next registrations find their nodes, and nothing more runs than that. */
export interface WarmDecision {
  readonly stop: readonly string[]
  readonly start: number
}

/**
 * Keeps `warmNodes` nodes without any reservation, as far as the class has room for them, so that a registration which needs
 * a node waits for no process to start; and no more than those, beside the ones that jobs are expected on. The oldest stay:
 * they are the ones that serve already.
 */
export function planWarmNodes(state: {
  /** Nodes that may take shares, in the order in which they are filled. */
  readonly open: readonly string[]
  readonly reserved: ReadonlySet<string>
  readonly warmNodes: number
  /** How many may be started. */
  readonly room: number
  /** On which jobs are expected. */
  readonly expected: ReadonlySet<string>
}): WarmDecision {
  const { open, reserved, warmNodes, room, expected } = state
  const idle = open.filter((node) => !reserved.has(node) && !expected.has(node))
  return {
    stop: idle.slice(warmNodes),
    start: Math.min(room, Math.max(0, warmNodes - idle.length)),
  }
}

/** Where jobs that are expected would go: on nodes that run, and on ones that would have to be started. */
interface ExpectedNodes {
  readonly kept: ReadonlySet<string>
  readonly started: Plan['started']
}

/** Packs jobs as if they were registered now; one for which there is no room is passed over. */
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
  return { kept: taken, started }
}
