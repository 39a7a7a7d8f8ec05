/** When a job was last used, and how far that is known. Milliseconds on one clock. */
export interface LeaseUse {
  readonly usedMs: number
  /**
   * Until when every live node of the job has told of its use: the oldest of their last reports. Null while one
   * has not reported to this controller process; a use before that report may be the one that keeps the job.
   */
  readonly knownUntilMs: number | null
}

/**
 * True if the lease ran out without a use. Only time that the nodes have told of counts: between two heartbeats
 * a job may well be in use, so a lease as short as a heartbeat must not lapse there.
 */
export function hasLapsed(usage: LeaseUse, leaseMs: number): boolean {
  return usage.knownUntilMs !== null && usage.usedMs + leaseMs < usage.knownUntilMs
}
