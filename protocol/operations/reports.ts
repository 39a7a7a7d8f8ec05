import type { Tier } from './data-operations.ts'

/**
 * Reports of nodes and metadata servers to the controller, as JSON over its HTTP port, every `HEARTBEAT_MS`:
 * `POST /internal/v1/nodes/:id/heartbeat` and `POST /internal/v1/metadata/:id/heartbeat`, with a cluster
 * token as bearer. The first one registers the process.
 */
export interface NodeReport {
  /** Name of its node class. */
  readonly class: string
  /** Its address for clients, `host:port`. */
  readonly address: string
  readonly pid: number
  /** Where it serves `/metrics`, `host:port`. */
  readonly metrics?: string
  /** CPU cores that its process used over the last heartbeat interval. */
  readonly cpuCores: number
  /** The tiers that the node serves. S3 has no bound; its capacity is reported as 0. */
  readonly tiers: Readonly<Partial<Record<Tier, { capacityBytes: number; usedBytes: number }>>>
  /** Payload bytes in and out over the last heartbeat interval. */
  readonly bytesPerSecond: number
  readonly jobs: readonly JobUsageReport[]
  readonly tasks: readonly TaskReport[]
  readonly calls: CallsReport
  /** Its process was told to end: the node is to be emptied. Missing otherwise. */
  readonly ending?: true
}

/** What an S3 gateway reports, likewise: `POST /internal/v1/gateways/:id/heartbeat`. */
export interface GatewayReport {
  /** The URL that S3 clients use. */
  readonly endpoint: string
  /** Where it serves `/metrics`, `host:port`. */
  readonly metrics: string
}

/** Upper bounds of the latency classes, in ms. */
export const latencyBoundsMs: readonly number[] = Object.freeze([
  ...[0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50],
  ...[100, 250, 500, 1_000, 2_500, 5_000, 10_000],
])

/** Calls of clients since the process started. */
export interface CallsReport {
  readonly answered: number
  /** Of those, with an error. */
  readonly failed: number
  /**
   * Calls by the time from reading the request to handing over the answer: one count for each of
   * `latencyBoundsMs`, and one for what took longer. Calls that waited for a key are not among them.
   */
  readonly latency: readonly number[]
}

export const noCalls: CallsReport = Object.freeze({
  answered: 0,
  failed: 0,
  latency: Object.freeze(new Array(latencyBoundsMs.length + 1).fill(0)),
})

/** One background task of a server process that has failed at least once. */
export interface TaskReport {
  /** Its name in `service/process/tasks.ts`. */
  readonly task: string
  /** Since the process started. */
  readonly failures: number
  /** Number of jobs or nodes for which it currently fails. */
  readonly failing: number
  /** Its last failure; empty if none fails now. */
  readonly reason: string
}

/** Hits and moves of one tier. A move counts on the tier that the object leaves. */
export interface Movement {
  /** Reads of objects and chunks whose bytes were there. */
  readonly hits: number
  /** Objects and chunks demoted to a lower tier. */
  readonly demotedObjects: number
  readonly demotedBytes: number
  /** Objects and chunks promoted to RAM after reads. */
  readonly promotedObjects: number
  readonly promotedBytes: number
  /** Failed moves: the object changed meanwhile, or the other tier refused it. */
  readonly droppedMoves: number
}

/** The initial counters. */
export const nothingMoved: Movement = Object.freeze({
  hits: 0,
  demotedObjects: 0,
  demotedBytes: 0,
  promotedObjects: 0,
  promotedBytes: 0,
  droppedMoves: 0,
})

/** One job on one tier of one node. */
export interface TierReport extends Movement {
  /** Objects whose bytes are there; a large object counts in RAM, with its manifest. */
  readonly objects: number
}

/** One job on one node. */
export interface JobUsageReport {
  readonly id: string
  readonly objects: number
  /** Only tiers that the node has. */
  readonly bytes: Readonly<Partial<Record<Tier, number>>>
  /**
   * Only tiers with past or present objects of the job. All but `objects` are counted since the job came to
   * the node.
   */
  readonly tiers: Readonly<Partial<Record<Tier, TierReport>>>
  /** Objects and chunks put since the job came to the node. */
  readonly stored: number
  /** The sum of squared reads per object; 0 if nothing leaves RAM. */
  readonly readSquares: number
  readonly bytesPerSecond: number
  /** Since a client last used the job here; the lease counts from it. */
  readonly idleMs: number
}

export interface NodeReportAnswer {
  /** Addresses of the metadata servers; each grants the node a lease. */
  readonly metadata: readonly string[]
  /** The node holds nothing any more, and is to end its process. */
  readonly end?: boolean
}

export interface MetadataReport {
  readonly address: string
  /** Counts the processes that had this server's identity. */
  readonly generation: number
  /** Where it serves `/metrics`, `host:port`. */
  readonly metrics?: string
  /** CPU cores used since its previous report. */
  readonly cpuCores: number
  readonly tasks: readonly TaskReport[]
  /** Nodes whose lease has lapsed, as far as the controller has not confirmed it. */
  readonly dead?: readonly string[]
}

export interface MetadataReportAnswer {
  /** A process of a higher generation has reported: the one that asks must end. */
  readonly superseded: boolean
  /** Of the `dead` nodes those that the controller does not have, or has as lost. They need not be reported again. */
  readonly gone: readonly string[]
}

/**
 * Sent by a node between heartbeats for jobs that need more capacity, as JSON: `POST
 * /internal/v1/nodes/:id/capacity`.
 */
export interface CapacityRequest {
  readonly jobs: readonly {
    readonly id: string
    /** Its usage on this node; only tiers that the node has. */
    readonly bytes: Readonly<Partial<Record<Tier, number>>>
    /** Bytes of puts that wait for room here. */
    readonly waitingBytes: number
  }[]
}

export interface CapacityAnswer {
  /**
   * Jobs that get no more, because of a limit or because nothing is free. Others have grown or are about to.
   */
  readonly limited: readonly string[]
}
