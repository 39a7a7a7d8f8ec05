/** Slows peers that use more of a server than is theirs. */
export interface Pace {
  /**
   * Called when all that arrived from a peer of a job has been carried out. True: the connection is not read from until
   * `resume` is called, which happens once.
   */
  holds(job: string, resume: () => void): boolean
}
