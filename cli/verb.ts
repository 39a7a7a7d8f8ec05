import type { Arguments, Shape } from './arguments.ts'
import type { CliConfig } from './config.ts'

/** One verb of the command. */
export interface Verb {
  /** Behind `mayfly`, as the usage line shows it. */
  readonly usage: string
  /** What it does, in one line. */
  readonly summary: string
  readonly shape: Shape
  /** Returns the exit code. What it throws is shown as one line. */
  run(input: VerbInput): Promise<number>
}

export interface VerbInput {
  readonly args: Arguments
  readonly config: CliConfig
  /** Writes to standard output, with a line feed behind it. */
  readonly print: (text: string) => void
  /** Puts a line in the place of the one that it drew before; where output is no terminal, there is none. */
  readonly redraw?: ((line: string) => void) | undefined
}
