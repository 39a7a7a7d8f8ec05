/** The last known use of a job. Milliseconds on one monotonic clock. */
export interface LeaseUse {
  readonly usedMs: number
  /**
   * The time up to which every live node of the job has reported its use: the oldest of their last reports. Null while one has not reported
   * to this controller process, since its first report may name a later use.
   */
  readonly knownUntilMs: number | null
}

/**
 * True if the lease lapsed without a use. Only time covered by reports counts: between two heartbeats the job may be in use, so a lease as
 * short as a heartbeat must not lapse there.
 */
export function hasLapsed(usage: LeaseUse, leaseMs: number): boolean {
  return usage.knownUntilMs !== null && usage.usedMs + leaseMs < usage.knownUntilMs
}
