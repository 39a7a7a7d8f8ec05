import type { Job } from '../records/job.ts'
import type { KeyRecord } from '../records/key-record.ts'
import type { NodeRecord } from '../records/node.ts'
import type { Run } from '../sizing/run-stats.ts'

/** A registration's `Idempotency-Key`: the job that it made, and from which body. Each owner has keys of its own. */
export interface IdempotencyKey {
  /** Name of the API key. */
  readonly owner: string
  readonly key: string
  readonly bodyHash: string
  readonly job: string
}

/** All that was written. */
export interface Stored {
  readonly jobs: Job[]
  readonly nodes: NodeRecord[]
  readonly keys: IdempotencyKey[]
  readonly runs: Run[]
  readonly apiKeys: KeyRecord[]
}

/**
 * What survives the controller. Everything it decides is written here before it is acted on or answered; a
 * promise that resolves means that it will be read again after a crash. Rejects with `UNAVAILABLE` where the disk is
 * full, else with `INTERNAL`.
 */
export interface Store {
  /** All that is there, to begin with. */
  load(): Promise<Stored>
  /** Writes these jobs, new or changed, all or none. */
  putJobs(jobs: readonly Job[]): Promise<void>
  /** Writes a new job and the key by which its registration can be repeated, both or none. */
  createJob(job: Job, key: IdempotencyKey | null): Promise<void>
  /** Writes a job that has ended together with what later jobs learn from it, and forgets older runs: all or nothing. */
  endJob(job: Job, history: { readonly run: Run | null; readonly forgotten: readonly Run[] }): Promise<void>
  /** Forgets the key, so that a registration that failed can be tried again with it. */
  deleteKeyOf(job: string): Promise<void>
  /** Forgets jobs, and their keys with them. */
  deleteJobs(ids: readonly string[]): Promise<void>
  putNode(node: NodeRecord): Promise<void>
  /** Writes a node that is to be emptied and the jobs that leave it, all or none. */
  putDraining(node: NodeRecord, jobs: readonly Job[]): Promise<void>
  deleteNode(id: string): Promise<void>
  /** Writes an API key, new or changed. */
  putApiKey(key: KeyRecord): Promise<void>
  deleteApiKey(name: string): Promise<void>
  close(): Promise<void>
}
