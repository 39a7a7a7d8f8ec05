import type { Failure } from './checker/judge.ts'
import type { Fault } from './faults/plan.ts'

/** What a run is made from: the same plan gives the same run. */
export interface Plan {
  readonly seed: number
  /** Calls of all clients together. */
  readonly calls: number
  /** Numbers of the faults that happen, or null for all that the seed draws. */
  readonly faults: readonly number[] | null
  /** What the run concentrates on, see `profiles.ts`; empty: as the seed draws it. */
  readonly profile: string
}

export interface Run {
  readonly failures: readonly Failure[]
  readonly profile: string
  /** Keys whose history had too many orders to judge. */
  readonly gaveUp: number
  readonly calls: number
  readonly events: number
  readonly virtualMs: number
  readonly hash: string
  /** All faults that the seed draws. */
  readonly faults: readonly Fault[]
  /** What happened beside the calls, in the order of time. */
  readonly notes: readonly string[]
}
