import type { Job } from '../records/job.ts'
import type { KeyRecord } from '../records/key-record.ts'
import type { NodeRecord } from '../records/node.ts'
import type { Run } from '../sizing/run-stats.ts'

/** The `Idempotency-Key` of a registration, with the job that it created and a hash of its body. Keys are scoped to their owner. */
export interface IdempotencyKey {
  /** Name of the API key. */
  readonly owner: string
  readonly key: string
  readonly bodyHash: string
  readonly job: string
}

/** What the end of a job changes beside the job. */
export interface History {
  /** The run from which later jobs learn. */
  readonly run: Run | null
  /** Runs that make room for it. */
  readonly forgotten: readonly Run[]
  /** Ids of jobs that ended before and are deleted, with their keys. */
  readonly pruned: readonly string[]
}

/** The whole content of the store. */
export interface Stored {
  readonly jobs: Job[]
  readonly nodes: NodeRecord[]
  readonly keys: IdempotencyKey[]
  readonly runs: Run[]
  readonly apiKeys: KeyRecord[]
}

/**
 * The durable state of the controller. Every decision is written here before it is carried out or answered. Once a promise resolves, the write survives a
 * crash. Methods reject with `UNAVAILABLE` if the disk is full, else with `INTERNAL`.
 */
export interface Store {
  /** Reads everything, at start. */
  load(): Promise<Stored>
  /** Writes new or changed jobs in one transaction. */
  putJobs(jobs: readonly Job[]): Promise<void>
  /** Writes a new job and its idempotency key in one transaction. */
  createJob(job: Job, key: IdempotencyKey | null): Promise<void>
  /** Writes an ended job with what its end adds to the history and removes from it, in one transaction. */
  endJob(job: Job, history: History): Promise<void>
  /** Deletes the key, so that a registration that failed can be retried with it. */
  deleteKeyOf(job: string): Promise<void>
  putNode(node: NodeRecord): Promise<void>
  /** Writes a draining node and the jobs whose shares leave it, in one transaction. */
  putDraining(node: NodeRecord, jobs: readonly Job[]): Promise<void>
  deleteNode(id: string): Promise<void>
  /** Writes a new or changed API key. */
  putApiKey(key: KeyRecord): Promise<void>
  deleteApiKey(name: string): Promise<void>
  close(): Promise<void>
}
