import type { JobRecord, MovedJob } from '../decide/job-record.ts'

/**
 * Storage of a metadata server's decisions. A resolved promise means that the change survives the death of this process. Errors of drivers
 * arrive as `UNAVAILABLE`.
 */
export interface PlacementStore {
  /** Counts the starts of this server, from 1. */
  nextGeneration(): Promise<number>
  jobs(): Promise<JobRecord[]>
  moved(): Promise<MovedJob[]>
  /** Stores the job's record; the job is on this server, even if it was elsewhere before. */
  save(record: JobRecord): Promise<void>
  /** Atomically replaces the job's record by its new location. */
  saveMoved(moved: MovedJob): Promise<void>
  /** Removes everything about the job. */
  remove(job: string): Promise<void>
  /** The last `DEAD_NODES_RETAINED_MAX` nodes that were added. */
  deadNodes(): Promise<string[]>
  addDeadNodes(nodes: readonly string[]): Promise<void>
  close(): Promise<void>
}
