import type { RunningNode } from './cluster.ts'
import type { Host } from './host.ts'
import type { MetadataServer } from './metadata-servers.ts'

/** What the controller knows of a job that it placed. */
export interface PlacedJob {
  readonly id: string
  readonly slots: number
  /** Of RAM. */
  readonly capacityBytes: number
  readonly ssdBytes: number
  readonly s3Bytes: number
  ticket: string
  /** Addresses of the metadata servers that may know of it; the last one decides for it, or is about to. */
  servers: string[]
  /** Nodes that have a share of the job and are not to be emptied. */
  nodes: RunningNode[]
  /** How many slots each of them is due, in proportion; those that are not here, as many as any. */
  readonly weights: Map<string, number>
  /** When its end was asked for, in virtual ms. */
  endAskedMs: number | null
}

/** What a run asks of the controller: the script, or the real one. */
export interface Control {
  /** Of whoever asks: no fault touches it. */
  readonly host: Host
  /** True for the real one: it starts nodes, spreads jobs over them and sees deaths by itself. */
  readonly decides: boolean
  /** Of its own process, where that is on trial. */
  readonly ips: readonly string[]
  createJob(
    name: string,
    options: { slots: number; capacityBytes: number; ssdBytes: number; s3Bytes: number },
  ): Promise<PlacedJob>
  /** Tells metadata of changed shares. */
  setShares(job: PlacedJob): Promise<void>
  /** Has the job handed to another metadata server. */
  moveJob(job: PlacedJob, to: MetadataServer): Promise<void>
  /** The fleet saw the process exit. */
  proveDeath(node: RunningNode): Promise<void>
  endJob(job: PlacedJob): Promise<void>
  /** What it has asked for in vain so far, in words. */
  readonly waiting: readonly string[]
  sleep(ms: number): Promise<void>
}
