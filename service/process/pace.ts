/** Throttles peers that use more of a server than their share. */
export interface Pace {
  /**
   * Called after a turn of a job's peer that took `cpuMs` of the event loop. True: the connection is paused
   * until `resume` is called, once.
   */
  holds(job: string, cpuMs: number, resume: () => void): boolean
}
