import { METADATA_SERVERS_MAX, NODE_START_MS_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { Logger } from '../../service/process/log.ts'
import type { Events } from '../events/events.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { balanceServers, noBalanceMemory, type ServerLoad } from '../metadata/balance.ts'
import { loadsOf, type MetadataServers } from '../metadata/servers.ts'
import type { Fleet } from '../nodes/fleet/fleet.ts'
import type { JobTransfers } from './job-transfers.ts'

export interface MetadataScalerOptions {
  readonly clock: Clock
  readonly ledger: Ledger
  readonly metadata: MetadataServers
  readonly fleet: Fleet
  readonly transfers: JobTransfers
  readonly events: Events
  readonly log: Logger
  readonly background: Background
}

/**
 * Starts metadata servers and transfers jobs between them by load. It keeps no state that must survive: started servers report, and
 * transfers are stored.
 */
export class MetadataScaler {
  readonly #options: MetadataScalerOptions
  #memory = noBalanceMemory
  /** Deadline for the report of a started server. */
  #startingUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: MetadataScalerOptions) {
    this.#options = options
  }

  /** To be called every `HEARTBEAT_MS`. */
  round(): void {
    const { clock, fleet, ledger, metadata, transfers: moves } = this.#options
    moves.resume()
    const loads = loadsOf(metadata.all(), (server) => ledger.livingOn(server))
    const { memory, decision } = balanceServers(this.#memory, loads, METADATA_SERVERS_MAX)
    this.#memory = memory
    if (decision.kind === 'start') {
      if (!fleet.isFixed && clock.monotonicMs() > this.#startingUntilMs) this.#start(loads, decision.busy)
    }
    if (decision.kind === 'move') this.#move(decision)
  }

  /** A number that the supervisor already knows belongs to a server that runs or is being restarted. */
  #start(loads: readonly ServerLoad[], busy: number): void {
    const { clock, fleet, events, log } = this.#options
    const numbers = loads.map(({ id }) => Number(/^m-(\d+)$/.exec(id)?.[1] ?? 0))
    const id = `m-${Math.max(...numbers) + 1}`
    this.#startingUntilMs = clock.monotonicMs() + NODE_START_MS_MAX
    log.info({ metadata: id, busy, servers: loads.length }, 'metadata is busy; another server is started')
    events.emit('metadata.starting', { metadata: id, busy, servers: loads.length })
    fleet.startMetadata(id)
  }

  /** The youngest job is transferred: the last jobs to arrive made the server busy. */
  #move({ from, to, busy }: { from: string; to: string; busy: number }): void {
    const { ledger, transfers: moves, log, background } = this.#options
    const job = ledger
      .living()
      .filter(({ metadata, state, movingTo }) => metadata === from && state === 'active' && movingTo === null)
      .at(-1)
    if (job === undefined) return
    log.info({ job: job.id, from, to, busy }, 'a metadata server is busy; another one takes a job of it')
    // If it fails before its target is stored, nothing resumes it, and the load may be another by the next round.
    void background.once(['moveJob', job.id], () => moves.move(job.id, to))
  }
}
