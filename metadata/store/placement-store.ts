import type { PlacedNode } from '../../protocol/model/placement.ts'
import type { JobRecord, MovedJob } from '../decide/job-record.ts'

/**
 * Storage of a metadata server's decisions. A resolved promise means that the change survives the death of this process. Errors of drivers
 * arrive as `UNAVAILABLE`.
 */
export interface PlacementStore {
  /** Counts the starts of this server, from 1. */
  nextGeneration(): Promise<number>
  /** The address at which the previous process served; null if there was none. */
  address(): Promise<string | null>
  saveAddress(address: string): Promise<void>
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

/** The right of a process to act as its metadata server. A standby may take it over. */
export interface Tenure {
  /** Whether this process may still grant leases to nodes. */
  readonly mayAct: boolean
  /** Until when the process before may have granted them, as far as is known by now, monotonic ms. */
  readonly formerUntilMs: number
  /** Nodes to ask which process of the server they follow; none while nothing depends on that. */
  readonly voters: readonly PlacedNode[]
  /** These voters, asked at `askedMs` (monotonic), follow this process. */
  voted(followers: ReadonlySet<string>, askedMs: number): void
  /** Whether there are nodes that are to be voters. */
  readonly hasNominees: boolean
  /** Names the nodes that are to be voters. */
  nominate(voters: readonly PlacedNode[]): void
}

/** Of the one process that has the server's file. */
export const soleTenure: Tenure = Object.freeze({
  mayAct: true,
  formerUntilMs: Number.NEGATIVE_INFINITY,
  voters: [],
  voted: () => undefined,
  hasNominees: true,
  nominate: () => undefined,
})
