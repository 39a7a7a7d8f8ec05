import type { Chart } from './report/chart.ts'

/** One thing that is measured. */
export interface Suite {
  readonly summary: string
  run(options: SuiteOptions): Promise<Report>
}

export interface SuiteOptions {
  /** Inputs that take seconds, for the tests: the figures mean nothing then. */
  readonly tiny: boolean
  /** Only rows whose name has this in it. */
  readonly only: string | undefined
  /** Ends the run early; what was started is stopped all the same. */
  readonly signal: AbortSignal
  /** Tells whoever waits how far it has come. */
  readonly say: (line: string) => void
}

export interface Report {
  readonly settings: Readonly<Record<string, string | number>>
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
  readonly goals: readonly Goal[]
  /** What was left out, and why. */
  readonly notes: readonly string[]
  /** Calls that failed and answers that were wrong: any of them makes the run worthless. */
  readonly failures: readonly string[]
  readonly charts: readonly Chart[]
  /** Every measurement that the rows are made of, for the JSON file. */
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
