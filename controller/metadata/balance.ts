/**
 * Decides how jobs are spread over metadata servers. Pure: loads in, decision out.
 *
 * A metadata server decides and stores on one thread. `busy` is the fraction of a core that it used since its last report; above the band
 * its answers are delayed. Another server then takes new jobs and some existing ones. Servers are never removed: an idle one costs tens of
 * megabytes, and old tickets may name it.
 */

export interface ServerLoad {
  readonly id: string
  /** Share of one core, from 0. */
  readonly busy: number
  /** Living jobs of the server. */
  readonly jobs: number
}

/** Upper bound of the band; the same as for nodes. */
const BUSY_HIGH = 0.8
/** Below it a server can take over a job of another. */
const BUSY_LOW = 0.6
/** Rounds of a second above the band before a decision, so that a burst of registrations is ignored. */
const BUSY_ROUNDS = 5
/** Rounds to wait after a decision until its effect is visible. */
const COOL_ROUNDS = 15
/** Loads that differ by less count as equal, so an idle cluster distributes new jobs by number of jobs. */
const BUSY_STEP = 0.1

export interface BalanceMemory {
  /** Consecutive rounds in which the busiest server was above the band. */
  readonly busyRounds: number
  /** Rounds until the next decision. */
  readonly coolRounds: number
}

export const noBalanceMemory: BalanceMemory = { busyRounds: 0, coolRounds: COOL_ROUNDS }

export type BalanceDecision =
  | { readonly kind: 'none' }
  /** Start another server. */
  | { readonly kind: 'start'; readonly busy: number }
  /** Transfer one of its jobs to another server. */
  | { readonly kind: 'move'; readonly from: string; readonly to: string; readonly busy: number }

/** The server for a new job: the least busy, then the one with the fewest jobs. Null if there is none. */
export function chooseServer(servers: readonly ServerLoad[]): string | null {
  const [best] = [...servers].sort((a, b) => stepOf(a) - stepOf(b) || a.jobs - b.jobs || compare(a.id, b.id))
  return best?.id ?? null
}

/** To be called once a second. `serversMax` bounds the number of servers. */
export function balanceServers(
  memory: BalanceMemory,
  servers: readonly ServerLoad[],
  serversMax: number,
): { memory: BalanceMemory; decision: BalanceDecision } {
  const byLoad = [...servers].sort((a, b) => a.busy - b.busy || compare(a.id, b.id))
  const [idlest, busiest] = [byLoad[0], byLoad.at(-1)]
  const busyRounds = busiest !== undefined && busiest.busy > BUSY_HIGH ? memory.busyRounds + 1 : 0
  const coolRounds = Math.max(0, memory.coolRounds - 1)
  const waits = { memory: { busyRounds, coolRounds }, decision: { kind: 'none' } } as const
  if (busyRounds < BUSY_ROUNDS || coolRounds > 0 || busiest === undefined || idlest === undefined)
    return waits
  const done = { busyRounds: 0, coolRounds: COOL_ROUNDS }
  const { busy, jobs } = busiest
  // A job that causes most of the load would only make the other server as busy.
  const evens = busy - idlest.busy > (2 * busy) / Math.max(1, jobs)
  if (idlest.busy < BUSY_LOW && jobs > 1 && evens)
    return { memory: done, decision: { kind: 'move', from: busiest.id, to: idlest.id, busy } }
  // With a single server the idlest is also the busiest.
  if (idlest.busy >= BUSY_LOW && servers.length < serversMax)
    return { memory: done, decision: { kind: 'start', busy } }
  return waits
}

function stepOf({ busy }: ServerLoad): number {
  return Math.floor(busy / BUSY_STEP)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
