import type { Cluster, RunningNode } from '../world/cluster.ts'
import { heldForCalls, isFree, sessionsOf, unsettledSlots } from '../world/inspection.ts'

/** Time in which leases and sessions of up to 6 s lapse, chunks are checked, and times to live end. */
const QUIET_MS = 14_000
/** A slot with all of a job's data arrives within 20 s, and may have to move on. */
const SETTLE_MS_MAX = 60_000
const SETTLE_CHECK_MS = 500
/** The controller begins the next move before so many checks have passed. */
const SETTLED_CHECKS = 4

/** Waits until no slot moves, and then until nothing is held for calls any more. Both waits have a bound: the checks that follow tell what is left. */
export async function rest(cluster: Cluster, sleep: (ms: number) => Promise<void>): Promise<void> {
  let settled = 0
  for (let ms = 0; ms < SETTLE_MS_MAX && settled < SETTLED_CHECKS; ms += SETTLE_CHECK_MS) {
    await sleep(SETTLE_CHECK_MS)
    settled = cluster.living.some(moves) ? 0 : settled + 1
  }
  await sleep(QUIET_MS)
}

function moves({ service }: RunningNode): boolean {
  return (
    service !== null && [...service.node.jobs.keys()].some((job) => unsettledSlots(service, job).length > 0)
  )
}

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
