/** Slows peers that use more of a server than is theirs. */
export interface Pace {
  /**
   * Called when a turn of a peer of a job is over, which took `cpuMs` of the event loop. True: the connection is not read from until
   * `resume` is called, which happens once.
   */
  holds(job: string, cpuMs: number, resume: () => void): boolean
}
