import type { RunningNode } from './cluster.ts'
import type { Host } from './host.ts'
import type { MetadataServer } from './metadata-servers.ts'

/** What the controller knows of a job that it has placed. */
export interface PlacedJob {
  readonly id: string
  readonly slots: number
  /** RAM. */
  readonly capacityBytes: number
  readonly ssdBytes: number
  readonly s3Bytes: number
  ticket: string
  /** Addresses of the metadata servers that may know the job; the last one decides for it, or is about to. */
  servers: string[]
  /** Nodes that have a share of the job and are not draining. */
  nodes: RunningNode[]
  /** Relative numbers of slots that the nodes get; nodes that are not listed get the default weight. */
  readonly weights: Map<string, number>
  /** When its end was requested, in virtual ms. */
  endAskedMs: number | null
}

/** The controller of a run: the script or the real one. */
export interface Control {
  /** The host from which requests are made; it has no faults. */
  readonly host: Host
  /** True for the real one: it starts nodes, places jobs and detects deaths by itself. */
  readonly decides: boolean
  /** The addresses of its own process, if that is under test. */
  readonly ips: readonly string[]
  createJob(
    name: string,
    options: { slots: number; capacityBytes: number; ssdBytes: number; s3Bytes: number },
  ): Promise<PlacedJob>
  /** Tells metadata the changed shares. */
  setShares(job: PlacedJob): Promise<void>
  /** Transfers the job to another metadata server. */
  moveJob(job: PlacedJob, to: MetadataServer): Promise<void>
  /** The fleet has seen the process exit. */
  proveDeath(node: RunningNode): Promise<void>
  endJob(job: PlacedJob): Promise<void>
  /** Descriptions of its requests that have not succeeded yet. */
  readonly waiting: readonly string[]
  sleep(ms: number): Promise<void>
}
