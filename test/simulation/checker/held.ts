import type { RunningNode } from '../world/cluster.ts'
import { heldForCalls, isFree, sessionsOf } from '../world/inspection.ts'

/** Checks that, without a call for longer than every lease, no node holds anything for a call and none of its tasks fails. Returns the violations. */
export function checkHeld(nodes: readonly RunningNode[]): string[] {
  return nodes.flatMap(({ id, service, background }) => {
    const held = service === null ? [] : heldForCalls(service)
    // A move to a tier that failed is retried with the next due move.
    const failing = background.report().filter(({ task, failing }) => failing > 0 && task !== 'demotion')
    return [
      ...held.map((what) => `${id} holds ${what}`),
      ...failing.map(({ task, reason }) => `the task ${task} of ${id} fails: ${reason}`),
    ]
  })
}

/** Checks that, after every job has ended and its sessions have timed out, nothing is reserved and no session is left. */
export function checkLetGo(nodes: readonly RunningNode[]): string[] {
  return nodes.flatMap(({ id, service }) => {
    if (service === null) return []
    const sessions = sessionsOf(service)
    return [
      ...(isFree(service) ? [] : [`${id} has bytes reserved`]),
      ...(sessions > 0 ? [`${id} knows ${sessions} sessions of clients that are gone`] : []),
    ]
  })
}
