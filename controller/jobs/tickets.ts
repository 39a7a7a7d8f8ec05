import { isError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, SLOTS_DEFAULT, TICKET_SECONDS } from '../../protocol/limits.ts'
import { NOBODY, type Placement } from '../../protocol/model/placement.ts'
import { formatTicket } from '../../protocol/model/ticket.ts'
import { signToken } from '../../protocol/model/token.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { FIRST_PLACEMENT_MS } from '../limits.ts'
import type { MetadataServers } from '../metadata/servers.ts'
import type { Job } from '../records/job.ts'

export interface TicketsOptions {
  readonly secret: Buffer
  readonly clock: Clock
  readonly metadata: MetadataServers
  /** Of `Ticket`. */
  readonly tlsName: string | null
}

/** The rights of a ticket. */
export interface Grant {
  readonly read: boolean
  readonly write: boolean
  /** Prefix of the keys that it grants; empty for all keys. */
  readonly prefix: string
  /** Validity in seconds. */
  readonly seconds: number
}

interface Cached {
  readonly placement: Placement
  readonly atMs: number
}

interface Issued {
  readonly ticket: string
  readonly expiresAtMs: number
}

const everything: Grant = Object.freeze({ read: true, write: true, prefix: '', seconds: TICKET_SECONDS })

/** Issues tickets of active jobs, each with the current placement. */
export class Tickets {
  readonly #options: TicketsOptions
  readonly #placements = new Map<string, Cached>()

  constructor(options: TicketsOptions) {
    this.#options = options
  }

  /** Caches a placement for tickets that are issued while metadata does not answer. */
  cachePlacement(job: string, placement: Placement): void {
    this.#placements.set(job, { placement, atMs: this.#options.clock.monotonicMs() })
  }

  forget(job: string): void {
    this.#placements.delete(job)
  }

  /**
   * A ticket with every right, for `TICKET_SECONDS`. Rejects with `UNAVAILABLE` if the job's metadata server has not reported since the
   * controller started.
   */
  async make(job: Job): Promise<string> {
    return (await this.issue(job, everything)).ticket
  }

  /** As `make`, for the answer of a registration: with the placement that it has just got from metadata. */
  async first(job: Job): Promise<string> {
    const { placement, atMs = Number.NEGATIVE_INFINITY } = this.#placements.get(job.id) ?? {}
    const isFresh = this.#options.clock.monotonicMs() - atMs <= FIRST_PLACEMENT_MS
    return placement !== undefined && isFresh
      ? this.#with(placement, job, everything).ticket
      : await this.make(job)
  }

  /** As `make`, with the given rights. */
  async issue(job: Job, grant: Grant): Promise<Issued> {
    return this.#with(await this.#placementOf(job.id, job.metadata), job, grant)
  }

  #with(placement: Placement, { id, metadata }: Job, { read, write, prefix, seconds }: Grant): Issued {
    const { secret, clock, tlsName } = this.#options
    const expiresSeconds = Math.floor(clock.wallMs() / 1000) + seconds
    const token = signToken(secret, { job: id, read, write, expiresSeconds, prefix: Buffer.from(prefix) })
    const address = this.#options.metadata.get(metadata)?.address ?? ''
    const ticket = formatTicket({ metadata: address, tls: tlsName, job: id, token, placement })
    return { ticket, expiresAtMs: expiresSeconds * 1000 }
  }

  /**
   * A server that has reported but does not answer may be restarting. A cached placement, or one without owners, makes the client ask
   * metadata for a new one.
   */
  async #placementOf(id: string, server: string): Promise<Placement> {
    const { metadata, clock } = this.#options
    const known = metadata.get(server) !== undefined
    const deadlineMs = clock.monotonicMs() + (known ? 0 : CONTROL_CALL_MS)
    try {
      const placement = await metadata.ask(server, deadlineMs, (client, at) => client.placement(at, id))
      this.cachePlacement(id, placement)
      return placement
    } catch (error) {
      if (!known || !isError(error, 'UNAVAILABLE', 'CONNECTION_LOST', 'DEADLINE_EXCEEDED')) throw error
      return this.#placements.get(id)?.placement ?? nobodysPlacement()
    }
  }
}

function nobodysPlacement(): Placement {
  return { epoch: 0, nodes: [], owners: new Uint16Array(SLOTS_DEFAULT).fill(NOBODY) }
}
