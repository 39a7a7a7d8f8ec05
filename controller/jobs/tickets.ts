import { isError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, SLOTS_DEFAULT, TICKET_SECONDS } from '../../protocol/limits.ts'
import { NOBODY, type Placement } from '../../protocol/model/placement.ts'
import { formatTicket } from '../../protocol/model/ticket.ts'
import { signToken } from '../../protocol/model/token.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { MetadataServers } from '../metadata/servers.ts'
import type { Job } from '../records/job.ts'

export interface TicketsOptions {
  readonly secret: Buffer
  readonly clock: Clock
  readonly metadata: MetadataServers
}

/** What a ticket grants. */
export interface Grant {
  readonly read: boolean
  readonly write: boolean
  /** Of the keys that it grants; empty for all. */
  readonly prefix: string
  /** How long. */
  readonly seconds: number
}

interface Issued {
  readonly ticket: string
  readonly expiresAtMs: number
}

const everything: Grant = Object.freeze({ read: true, write: true, prefix: '', seconds: TICKET_SECONDS })

/** Tickets of active jobs, each with the placement of its moment. */
export class Tickets {
  readonly #options: TicketsOptions
  readonly #placements = new Map<string, Placement>()

  constructor(options: TicketsOptions) {
    this.#options = options
  }

  /** Keeps a placement for tickets that are made while metadata does not answer. */
  cachePlacement(job: string, placement: Placement): void {
    this.#placements.set(job, placement)
  }

  forget(job: string): void {
    this.#placements.delete(job)
  }

  /** With every right, for `TICKET_SECONDS`. Rejects with `UNAVAILABLE` if the job's metadata server has not reported since the controller started. */
  async make(job: Job): Promise<string> {
    return (await this.issue(job, everything)).ticket
  }

  /** As `make`, with what is granted. */
  async issue({ id, metadata }: Job, { read, write, prefix, seconds }: Grant): Promise<Issued> {
    const placement = await this.#placementOf(id, metadata)
    const { secret, clock } = this.#options
    const expiresSeconds = Math.floor(clock.wallMs() / 1000) + seconds
    const token = signToken(secret, { job: id, read, write, expiresSeconds, prefix: Buffer.from(prefix) })
    const address = this.#options.metadata.get(metadata)?.address ?? ''
    const ticket = formatTicket({ metadata: address, job: id, token, placement })
    return { ticket, expiresAtMs: expiresSeconds * 1000 }
  }

  /**
   * A server that reported and does not answer now may be starting again: an old placement, or one where nobody
   * owns anything, makes a function ask it for a new one when it needs it.
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
      return this.#placements.get(id) ?? nobodysPlacement()
    }
  }
}

function nobodysPlacement(): Placement {
  return { epoch: 0, nodes: [], owners: new Uint16Array(SLOTS_DEFAULT).fill(NOBODY) }
}
