import type { JobRecord } from '../job-record.ts'

/**
 * Where a metadata server writes down what it decided, before it answers. A promise that resolved means that the
 * change survives the death of this process. Drivers' errors arrive as `UNAVAILABLE`.
 */
export interface PlacementStore {
  /** Counts the starts of this server: 1 at the first, one more at each later one. */
  nextGeneration(): Promise<number>
  jobs(): Promise<JobRecord[]>
  save(record: JobRecord): Promise<void>
  remove(job: string): Promise<void>
  /** The last `DEAD_NODES_KEPT_MAX` that were added. */
  deadNodes(): Promise<string[]>
  addDeadNodes(nodes: readonly string[]): Promise<void>
  close(): Promise<void>
}
