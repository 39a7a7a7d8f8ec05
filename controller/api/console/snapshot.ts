import type { ViewedRates } from './rates.ts'

/** What the page shows. The page imports these types, and the stream sends them as JSON. */

export interface Amounts {
  readonly used: number
  readonly reserved: number
  readonly capacity: number
}

/** One point of the plots. */
export interface Sample extends ViewedRates {
  readonly atMs: number
  readonly ram: Amounts
  readonly ssd: Amounts
  /** Bytes on S3, which has no capacity. */
  readonly s3Used: number
  readonly bytesPerSecond: Amounts
  readonly cost: Cost
}

/** Prices per hour. */
export interface Cost {
  /** Of the nodes that run or start. */
  readonly nodes: number
  /** What S3 charges for the jobs that use it. */
  readonly s3: number
  /** Redis on whole machines of the node class `redisClass`, `redisNodes` of them. */
  readonly redis: number
  readonly redisNodes: number
  readonly redisClass: string
}

export interface NodeShown {
  readonly id: string
  readonly class: string
  readonly state: string
  /** By tier. */
  readonly tiers: Readonly<Record<string, Amounts>>
  readonly bytesPerSecond: Amounts
  readonly cores: { readonly used: number; readonly capacity: number }
  /** The jobs with most bytes on it, the largest first. */
  readonly jobs: readonly { readonly id: string; readonly name: string; readonly bytes: number }[]
}

export interface JobShown {
  readonly id: string
  readonly name: string
  readonly owner: string
  readonly state: string
  readonly objects: number
  /** Bytes on all tiers. */
  readonly used: number
  readonly reserved: number
  readonly bytesPerSecond: { readonly used: number; readonly reserved: number }
  readonly pricePerHour: number
  /** How many nodes it has a share of. */
  readonly nodes: number
}

export interface Snapshot {
  readonly sample: Sample
  /** The fullest first. */
  readonly nodes: readonly NodeShown[]
  readonly nodesTotal: number
  readonly jobs: readonly JobShown[]
  readonly jobsTotal: number
  /** Registrations that wait for room. */
  readonly waiting: number
}

/** Use and reservation of a job over time: `[atMs, used, reserved]`. */
export type JobPoint = readonly [number, number, number]

export interface EventShown {
  readonly id: number
  readonly type: string
  readonly atMs: number
  readonly data: Readonly<Record<string, unknown>>
}

/** The first message of the stream. */
export interface Hello {
  readonly samples: readonly Sample[]
  readonly jobs: Readonly<Record<string, readonly JobPoint[]>>
  readonly events: readonly EventShown[]
}
