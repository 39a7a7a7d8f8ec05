import type { Failure } from './checker/judge.ts'
import type { Fault } from './faults/plan.ts'

/** The input of a run: the same plan gives the same run. */
export interface Plan {
  readonly seed: number
  /** Calls of all clients together. */
  readonly calls: number
  /** Indexes of the faults that happen, or null for all that the seed draws. */
  readonly faults: readonly number[] | null
  /** The profile of the run, see `profiles.ts`; if empty, the seed draws it. */
  readonly profile: string
}

export interface Run {
  readonly failures: readonly Failure[]
  readonly profile: string
  /** Keys whose history had too many orders to check. */
  readonly gaveUp: number
  readonly calls: number
  readonly events: number
  readonly virtualMs: number
  readonly hash: string
  /** All faults that the seed draws. */
  readonly faults: readonly Fault[]
  /** What happened besides the calls, in order of time. */
  readonly notes: readonly string[]
}
