import { isError, MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS, HEARTBEAT_MS } from '../../protocol/limits.ts'
import type { MetadataReport } from '../../protocol/operations/reports.ts'
import type { Runtime } from '../../protocol/runtime.ts'
import type { Events } from '../events/events.ts'
import { chooseServer, type ServerLoad } from './balance.ts'
import { CallQueue } from './call-queue.ts'
import type { MetadataClient } from './client.ts'
import { retry } from './retry.ts'

export interface MetadataServer {
  readonly id: string
  readonly address: string
  readonly generation: number
  /** Fraction of a core used since the previous report. */
  readonly busy: number
  /** On the monotonic clock. */
  readonly heardMs: number
  /** Where it serves `/metrics`, `host:port`. */
  readonly metrics?: string
}

export interface MetadataServersOptions {
  readonly runtime: Runtime
  readonly client: MetadataClient
  readonly events: Events
  readonly stopped: AbortSignal
}

/** A server that was silent for longer may be another process, so its jobs are compared again. */
const SILENT_MS = 3 * HEARTBEAT_MS

/** The known metadata servers, and calls to them that survive their restarts. */
export class MetadataServers {
  readonly #options: MetadataServersOptions
  readonly #servers = new Map<string, MetadataServer>()
  readonly #turns = new Map<string, CallQueue>()

  constructor(options: MetadataServersOptions) {
    this.#options = options
  }

  all(): MetadataServer[] {
    return [...this.#servers.values()]
  }

  get(id: string): MetadataServer | undefined {
    return this.#servers.get(id)
  }

  /** Whether the server exists. After a start of the controller, servers get time to report first. */
  async isKnown(id: string): Promise<boolean> {
    if (this.#servers.has(id)) return true
    const deadlineMs = this.#options.runtime.clock.monotonicMs() + SILENT_MS
    return await this.ask(id, deadlineMs, async () => true).catch(() => false)
  }

  /** Whether a later process of the server has reported. */
  isSuperseded(id: string, { generation }: MetadataReport): boolean {
    return generation < (this.#servers.get(id)?.generation ?? 0)
  }

  /** Applies a heartbeat. True if the server is new, has moved or was silent, so that its jobs have to be compared. */
  onReport(id: string, { address, generation, cpuCores: busy, metrics }: MetadataReport): boolean {
    const heardMs = this.#options.runtime.clock.monotonicMs()
    const before = this.#servers.get(id)
    this.#servers.set(id, {
      id,
      address,
      generation,
      busy,
      heardMs,
      ...(metrics !== undefined && { metrics }),
    })
    const isNew =
      before?.address !== address || before.generation !== generation || heardMs - before.heardMs > SILENT_MS
    if (isNew) this.#options.events.emit('metadata.active', { metadata: id, address })
    return isNew
  }

  /** Whether the server has reported lately. */
  isHeard(id: string): boolean {
    const heardMs = this.#servers.get(id)?.heardMs ?? Number.NEGATIVE_INFINITY
    return this.#options.runtime.clock.monotonicMs() - heardMs <= SILENT_MS
  }

  /** The server for a new job, preferably one that is not silent. Waits for one until the deadline. */
  choose(jobsOn: (server: string) => number, deadlineMs: number): Promise<string> {
    return retry(
      async () => {
        const heard = this.all().filter((each) => this.isHeard(each.id))
        const server = chooseServer(loadsOf(heard.length > 0 ? heard : this.all(), jobsOn))
        if (server === null) throw new MayflyError('UNAVAILABLE', 'No metadata server has reported yet')
        return server
      },
      { ...this.#options, deadlineMs },
    )
  }

  /**
   * Calls a server and retries while it is unreachable, also at a new address after its restart. Each server has its own queue of
   * `METADATA_CALLS_MAX` concurrent calls with deadlines, so a server that hangs does not delay calls to others. Rejects with `UNAVAILABLE`
   * at the deadline, and with the error of the server.
   */
  ask<T>(
    id: string,
    deadlineMs: number,
    call: (client: MetadataClient, address: string) => Promise<T>,
  ): Promise<T> {
    const { runtime, client } = this.#options
    const { clock } = runtime
    return retry(
      async () => {
        const server = this.#servers.get(id)
        if (server === undefined)
          throw new MayflyError('UNAVAILABLE', `Metadata server ${id} has not reported yet`)
        const untilMs = Math.max(deadlineMs, clock.monotonicMs() + CONTROL_CALL_MS)
        const asked = this.#queueOf(id).run(untilMs, () => call(client, server.address))
        return await asked.catch((cause: unknown) => {
          if (!isError(cause, 'CONNECTION_LOST', 'DEADLINE_EXCEEDED')) throw cause
          throw new MayflyError('UNAVAILABLE', `Metadata server ${id} does not answer`, { cause })
        })
      },
      { ...this.#options, deadlineMs },
    )
  }

  #queueOf(id: string): CallQueue {
    const turns = this.#turns.get(id) ?? new CallQueue(id, this.#options.runtime.clock)
    this.#turns.set(id, turns)
    return turns
  }
}

/** The load of each server. */
export function loadsOf(
  servers: readonly MetadataServer[],
  jobsOn: (server: string) => number,
): ServerLoad[] {
  return servers.map(({ id, busy }) => ({ id, busy, jobs: jobsOn(id) }))
}

/** True if metadata does not know the job. */
export function isGone(error: unknown): boolean {
  return isError(error, 'JOB_NOT_FOUND', 'JOB_ENDED')
}
