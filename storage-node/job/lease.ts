import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'

/** Until when a metadata server lets this node serve, monotonic ms. Shared by all jobs of that server. */
export interface Lease {
  untilMs: number
}

/** The metadata server that decides for a job, and until when the node may serve the job. */
export class JobLease {
  /** Address of the server. */
  metadata: string
  /** How many times the job had been transferred between metadata servers when this server received it. */
  term: number
  #lease: Lease
  /** Until when the lease of the previous metadata server lasts, monotonic ms. */
  #previousUntilMs = Number.NEGATIVE_INFINITY
  readonly #clock: Clock

  constructor(server: { metadata: string; term: number }, { lease, clock }: { lease: Lease; clock: Clock }) {
    this.metadata = server.metadata
    this.term = server.term
    this.#lease = lease
    this.#clock = clock
  }

  get isValid(): boolean {
    const nowMs = this.#clock.monotonicMs()
    return this.#lease.untilMs > nowMs || this.#previousUntilMs > nowMs
  }

  /**
   * The job was transferred: its old metadata server no longer renews the lease. The time already granted
   * remains valid, because the new server reassigns no slot of this node before it has lapsed.
   */
  endRenewal(): void {
    this.#previousUntilMs = Math.max(this.#previousUntilMs, this.#lease.untilMs)
    this.#lease = { untilMs: Number.NEGATIVE_INFINITY }
  }

  /** Another metadata server decides for the job from now on, with a lease of its own. */
  replace(server: { metadata: string; term: number }, lease: Lease): void {
    this.endRenewal()
    this.metadata = server.metadata
    this.term = server.term
    this.#lease = lease
  }
}

export function leaseLapsed(): MayflyError {
  return new MayflyError('UNAVAILABLE', 'The node has not heard from metadata for longer than its lease')
}
