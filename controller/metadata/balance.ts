/**
 * Decides how jobs are spread over metadata servers: loads in, decision out. No clock, no I/O.
 *
 * What a server does is decide and write down, on one thread: `busy` is the share of one core that it used since its last
 * report, and above the band its answers begin to wait. The remedy is another server, for new jobs and for some of those
 * that are there. Nothing is taken away again: an idle server costs tens of megabytes, and old tickets may name it.
 */

export interface ServerLoad {
  readonly id: string
  /** Share of one core, from 0. */
  readonly busy: number
  /** Living jobs that it decides for. */
  readonly jobs: number
}

/** Above it a server is busy; the same band as for nodes. */
const BUSY_HIGH = 0.8
/** Below it a server can take a job of another one. */
const BUSY_LOW = 0.6
/** So many rounds in a row, each of a second, before anything is done: a burst of registrations is no load. */
const BUSY_ROUNDS = 5
/** After a decision what came of it has to show first: a process starts, nodes and jobs come to it. */
const COOL_ROUNDS = 15
/** Loads that differ by less are the same, so that new jobs go by number of jobs where nobody has much to do. */
const BUSY_STEP = 0.1

export interface BalanceMemory {
  /** Rounds in a row in which the busiest server was above the band. */
  readonly busyRounds: number
  /** Rounds until the next decision. */
  readonly coolRounds: number
}

export const noBalanceMemory: BalanceMemory = { busyRounds: 0, coolRounds: COOL_ROUNDS }

export type BalanceDecision =
  | { readonly kind: 'none' }
  /** Another server is needed. */
  | { readonly kind: 'start'; readonly busy: number }
  /** One of its jobs is to go to another server. */
  | { readonly kind: 'move'; readonly from: string; readonly to: string; readonly busy: number }

/** The server that a new job goes to: the one with the least to do, of those the one with the fewest jobs. Null if there is none. */
export function chooseServer(servers: readonly ServerLoad[]): string | null {
  const [best] = [...servers].sort((a, b) => stepOf(a) - stepOf(b) || a.jobs - b.jobs || compare(a.id, b.id))
  return best?.id ?? null
}

/** Once a second. `serversMax` is how many there may be. */
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
  // A job that is most of what its server does would only make another one as busy.
  const evens = busy - idlest.busy > (2 * busy) / Math.max(1, jobs)
  if (idlest.busy < BUSY_LOW && jobs > 1 && evens)
    return { memory: done, decision: { kind: 'move', from: busiest.id, to: idlest.id, busy } }
  // With one server alone the idlest is the busiest.
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
