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
  /** CPU time that its process took over the last heartbeat interval, in cores: 1 is one core all the time. */
  readonly cpuCores: number
  /** The tiers that the node serves. Nothing bounds what lies on S3, whose capacity is told as 0. */
  readonly tiers: Readonly<Partial<Record<Tier, { capacityBytes: number; usedBytes: number }>>>
  /** Payload in and out over the last heartbeat interval. */
  readonly bytesPerSecond: number
  readonly jobs: readonly JobUsageReport[]
  readonly tasks: readonly TaskReport[]
}

/** One kind of what a server process does in the background, once it has failed. */
export interface TaskReport {
  /** Its name in `service/process/tasks.ts`. */
  readonly task: string
  /** Since the process started. */
  readonly failures: number
  /** Of how many jobs or nodes it fails now. */
  readonly failing: number
  /** Why it failed last; empty where none fails now. */
  readonly reason: string
}

/** What left a tier, and what was read there. An object that moves counts on the tier that it leaves. */
export interface Movement {
  /** Reads of objects and chunks that found their bytes there. */
  readonly hits: number
  /** Objects and chunks that left it for a lower tier. */
  readonly demotedObjects: number
  readonly demotedBytes: number
  /** Those that left it for RAM, because they were read. */
  readonly promotedObjects: number
  readonly promotedBytes: number
  /** Moves from it that came to nothing: the object changed meanwhile, or the other tier did not take it. */
  readonly droppedMoves: number
}

/** What a count begins with. */
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
  /** Those whose bytes lie there now; a large one counts in RAM, where its manifest is. */
  readonly objects: number
}

/** One job on one node. */
export interface JobUsageReport {
  readonly id: string
  readonly objects: number
  /** Only tiers that the node has. */
  readonly bytes: Readonly<Partial<Record<Tier, number>>>
  /** Only tiers where the job has objects, or ever had. But for `objects` all is counted since the job came to the node. */
  readonly tiers: Readonly<Partial<Record<Tier, TierReport>>>
  /** Objects and chunks that were put since the job came to the node. */
  readonly stored: number
  /** The sum, over these, of the square of how often each was read; 0 where nothing leaves RAM. */
  readonly readSquares: number
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
  readonly tasks: readonly TaskReport[]
}

/**
 * Between two heartbeats a node says of which jobs more bytes are wanted, as JSON: `POST /internal/v1/nodes/:id/capacity`. They
 * fill up, or their puts wait for room.
 */
export interface CapacityRequest {
  readonly jobs: readonly {
    readonly id: string
    /** What it uses on this node; only tiers that the node has. */
    readonly bytes: Readonly<Partial<Record<Tier, number>>>
    /** Of puts that wait for room here. */
    readonly waitingBytes: number
  }[]
}

export interface CapacityAnswer {
  /** Those that get no more, for a limit or because nothing is free. Others have grown or are about to. */
  readonly limited: readonly string[]
}
