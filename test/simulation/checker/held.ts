import type { RunningNode } from '../world/cluster.ts'
import { heldForCalls, isFree, sessionsOf } from '../world/inspection.ts'

/** Nobody has called for longer than every lease: no node holds anything for a call, and none of its tasks fails. Returns what is wrong. */
export function checkHeld(nodes: readonly RunningNode[]): string[] {
  return nodes.flatMap(({ id, service, background }) => {
    const held = service === null ? [] : heldForCalls(service)
    // A move to a tier that failed is tried again when the next one is due.
    const failing = background.report().filter(({ task, failing }) => failing > 0 && task !== 'demotion')
    return [
      ...held.map((what) => `${id} holds ${what}`),
      ...failing.map(({ task, reason }) => `the task ${task} of ${id} fails: ${reason}`),
    ]
  })
}

/** Every job has ended, and its clients are gone for longer than sessions are kept: nothing is reserved, and no session known. */
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
