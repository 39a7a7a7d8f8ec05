import { isError, MayflyError } from '../protocol/errors.ts'
import { HEARTBEAT_MS } from '../protocol/limits.ts'
import type { Runtime } from '../protocol/runtime.ts'
import type { Events } from './events.ts'
import type { MetadataClient } from './metadata-client.ts'
import { retry } from './retry.ts'

export interface MetadataServer {
  readonly id: string
  readonly address: string
  /** On the monotonic clock. */
  readonly heardMs: number
}

export interface MetadataServersOptions {
  readonly runtime: Runtime
  readonly client: MetadataClient
  readonly events: Events
  readonly stopped: AbortSignal
}

/** A server that was silent for longer may be another process, which has to be told again what it missed. */
const SILENT_MS = 3 * HEARTBEAT_MS

/** The metadata servers that reported, and calls to them that outlast their restarts. */
export class MetadataServers {
  readonly #options: MetadataServersOptions
  readonly #servers = new Map<string, MetadataServer>()

  constructor(options: MetadataServersOptions) {
    this.#options = options
  }

  all(): MetadataServer[] {
    return [...this.#servers.values()]
  }

  get(id: string): MetadataServer | undefined {
    return this.#servers.get(id)
  }

  /** Takes a heartbeat. True if the server is new, moved or was silent: what it knows has to be compared. */
  heard(id: string, address: string): boolean {
    const heardMs = this.#options.runtime.clock.monotonicMs()
    const before = this.#servers.get(id)
    this.#servers.set(id, { id, address, heardMs })
    const isNew = before?.address !== address || heardMs - before.heardMs > SILENT_MS
    if (isNew) this.#options.events.emit('metadata.active', { metadata: id, address })
    return isNew
  }

  /** Who a new job goes to: the server with the fewest. Waits for one until the deadline. */
  choose(jobsOf: (server: string) => number, deadlineMs: number): Promise<string> {
    return retry(
      async () => {
        const [first, ...others] = this.all()
        if (first === undefined) throw new MayflyError('UNAVAILABLE', 'No metadata server has reported yet')
        return others.reduce((best, other) => (jobsOf(other.id) < jobsOf(best.id) ? other : best), first).id
      },
      { ...this.#options, deadlineMs },
    )
  }

  /** Asks a server, again while it cannot be reached, also if it is started anew at another address. */
  ask<T>(
    id: string,
    deadlineMs: number,
    call: (client: MetadataClient, address: string) => Promise<T>,
  ): Promise<T> {
    return retry(
      async () => {
        const server = this.#servers.get(id)
        if (server === undefined)
          throw new MayflyError('UNAVAILABLE', `Metadata server ${id} has not reported yet`)
        return await call(this.#options.client, server.address)
      },
      { ...this.#options, deadlineMs },
    )
  }
}

/** True if metadata does not have the job, or has no more. */
export function isGone(error: unknown): boolean {
  return isError(error, 'JOB_NOT_FOUND', 'JOB_ENDED')
}
