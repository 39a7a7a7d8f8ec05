import { readFileSync } from 'node:fs'
import { Arguments, UsageError } from './arguments.ts'
import type { CliConfig } from './config.ts'
import { printable } from './table.ts'
import type { Verb } from './verb.ts'
import { helpText, verbs } from './verbs.ts'

export interface Terminal {
  readonly print: (text: string) => void
  readonly printError: (text: string) => void
  readonly redraw?: (line: string) => void
}

/** Exit code for an invalid command line, by the shell's convention. */
const MISUSED = 2

/** Runs one command line, without the leading `node` and file, and returns the exit code. Never rejects. */
export async function runCommand(
  args: readonly string[],
  config: CliConfig,
  terminal: Terminal,
): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    terminal.print(helpText())
    return name === undefined ? MISUSED : 0
  }
  if (name === '--version') {
    terminal.print(readVersion())
    return 0
  }
  const verb = verbs.get(name)
  if (verb === undefined) {
    terminal.printError(`mayfly: there is no verb '${printable(name)}'; mayfly help lists them`)
    return MISUSED
  }
  if (rest.includes('--help')) {
    terminal.print(`usage: mayfly ${verb.usage}`)
    return 0
  }
  return runVerb(verb, rest, { config, terminal })
}

async function runVerb(
  verb: Verb,
  args: readonly string[],
  { config, terminal }: { config: CliConfig; terminal: Terminal },
): Promise<number> {
  try {
    const { print, redraw } = terminal
    return await verb.run({ args: new Arguments(args, verb.shape), config, print, redraw })
  } catch (error) {
    terminal.printError(`mayfly: ${error instanceof Error ? error.message : String(error)}`)
    if (!(error instanceof UsageError)) return 1
    terminal.printError(`usage: mayfly ${verb.usage}`)
    return MISUSED
  }
}

/** The version of the package; this file is compiled to dist/cli/run.js. */
function readVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
