import type { Tier } from './data-operations.ts'

/**
 * What nodes and metadata servers tell the controller, as JSON over its HTTP port, every `HEARTBEAT_MS`:
 * `POST /internal/v1/nodes/:id/heartbeat` and `POST /internal/v1/metadata/:id/heartbeat`, with a cluster token as
 * bearer. The first one registers the process.
 */
export interface NodeReport {
  /** Name of the node class that it was started as. */
  readonly class: string
  /** Where clients reach it, `host:port`. */
  readonly address: string
  readonly pid: number
  /** The tiers that the node serves. Nothing bounds what lies on S3, whose capacity is told as 0. */
  /** CPU time that its process took over the last heartbeat interval, in cores: 1 is one core all the time. */
  readonly cpuCores: number
  readonly tiers: Readonly<Partial<Record<Tier, { capacityBytes: number; usedBytes: number }>>>
  /** Payload in and out over the last heartbeat interval. */
  readonly bytesPerSecond: number
  readonly jobs: readonly JobUsageReport[]
}

/** One job on one node. */
export interface JobUsageReport {
  readonly id: string
  readonly objects: number
  /** Only tiers that the node has. */
  readonly bytes: Readonly<Partial<Record<Tier, number>>>
  readonly bytesPerSecond: number
  /** Since a client last used the job here; a lease counts from it. */
  readonly idleMs: number
}

export interface NodeReportAnswer {
  /** Addresses of the metadata servers: each grants the node a lease. */
  readonly metadata: readonly string[]
}

export interface MetadataReport {
  readonly address: string
  /** CPU seconds for each second since its report before. */
  readonly cpuCores: number
}
