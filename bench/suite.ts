/** One thing that is measured. */
export interface Suite {
  readonly summary: string
  run(options: SuiteOptions): Promise<Report>
}

export interface SuiteOptions {
  /** Inputs that take seconds, for the tests: the figures mean nothing then. */
  readonly tiny: boolean
  /** Tells whoever waits how far it has come. */
  readonly say: (line: string) => void
}

export interface Report {
  readonly settings: Readonly<Record<string, string | number>>
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
  readonly goals: readonly Goal[]
  /** Calls that failed and answers that were wrong: any of them makes the run worthless. */
  readonly failures: readonly string[]
}

/** A figure that the design promises. */
export interface Goal {
  readonly name: string
  readonly goal: string
  readonly measured: string
  readonly held: boolean
}
