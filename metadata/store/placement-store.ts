import type { JobRecord, MovedJob } from '../decide/job-record.ts'

/**
 * Where a metadata server writes down what it decided, before it answers. A promise that resolved means that the
 * change survives the death of this process. Drivers' errors arrive as `UNAVAILABLE`.
 */
export interface PlacementStore {
  /** Counts the starts of this server: 1 at the first, one more at each later one. */
  nextGeneration(): Promise<number>
  jobs(): Promise<JobRecord[]>
  moved(): Promise<MovedJob[]>
  /** The job lives here, whether it was somewhere else before or not. */
  save(record: JobRecord): Promise<void>
  /** The job's record goes, and where the job is instead stays: both, or nothing. */
  handOver(moved: MovedJob): Promise<void>
  /** Nothing of the job stays. */
  remove(job: string): Promise<void>
  /** The last `DEAD_NODES_KEPT_MAX` that were added. */
  deadNodes(): Promise<string[]>
  addDeadNodes(nodes: readonly string[]): Promise<void>
  close(): Promise<void>
}
