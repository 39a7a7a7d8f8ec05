import type { Arguments, Shape } from './arguments.ts'
import type { CliConfig } from './config.ts'

/** One verb of the command. */
export interface Verb {
  /** After `mayfly`, as the usage line shows it. */
  readonly usage: string
  /** What it does, in one line. */
  readonly summary: string
  readonly shape: Shape
  /** Returns the exit code. A thrown error is printed as one line. */
  run(input: VerbInput): Promise<number>
}

export interface VerbInput {
  readonly args: Arguments
  readonly config: CliConfig
  /** Writes a line to standard output. */
  readonly print: (text: string) => void
  /** Replaces the line that it drew before. Undefined if output is not a terminal. */
  readonly redraw?: ((line: string) => void) | undefined
}
