import type { Chart } from './report/chart.ts'

/** One measurement that can be run by name. */
export interface Suite {
  readonly summary: string
  run(options: SuiteOptions): Promise<Report>
}

export interface SuiteOptions {
  /** Inputs that take seconds, for the tests; their figures mean nothing. */
  readonly tiny: boolean
  /** Only rows whose name contains this text. */
  readonly only: string | undefined
  /** Ends the run early; everything that was started is still stopped. */
  readonly signal: AbortSignal
  /** Reports progress to the user. */
  readonly say: (line: string) => void
  /** Shows that a part of the suite is done, from 0 to 1. */
  readonly advance: (part: number) => void
}

export interface Report {
  readonly settings: Readonly<Record<string, string | number>>
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
  readonly goals: readonly Goal[]
  /** What was not measured, and why. */
  readonly notes: readonly string[]
  /** Failed calls and wrong answers. Any of them makes the run invalid. */
  readonly failures: readonly string[]
  readonly charts: readonly Chart[]
  /** All measurements behind the rows, for the JSON file. */
  readonly measurements?: unknown
}

/** A figure that the design promises. */
export interface Goal {
  readonly name: string
  readonly atLeast: string
  readonly reachFor: string
  readonly measured: string
  readonly verdict: Verdict
}

export type Verdict = 'reached' | 'holds' | 'not reached' | 'FALLS SHORT' | 'not measured'
