import { type Command, InvalidArgumentError } from 'commander'
import { flawOfKeyText } from '../protocol/model/text.ts'
import type { CliConfig } from './config.ts'
import type { Terminal } from './terminal/terminal.ts'

/** The arguments of every verb. */
export interface Cli {
  readonly config: CliConfig
  readonly terminal: Terminal
  /** Of the verb that ran. */
  exitCode: number
}

/** Adds a verb to the command. */
export type AddVerb = (parent: Command, cli: Cli) => void

/** Exit codes, as `mayfly --help` explains them. */
export const exitCodes = { done: 0, failed: 1, misused: 2, missing: 3, interrupted: 130 } as const

interface VerbText {
  /** What it does, in one line. */
  readonly summary: string
  /** Further help. */
  readonly details?: string
  /** Command lines that work as they are, at least two. */
  readonly examples: readonly [string, string, ...string[]]
  /** The verb that runs if none of its parent is named. */
  readonly isDefault?: boolean
}

export function addVerb(
  parent: Command,
  name: string,
  { summary, details, examples, isDefault = false }: VerbText,
): Command {
  const shown = examples.map((line) => `  ${line}`).join('\n')
  const sentence = `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`
  const verb = parent
    .command(name, { isDefault })
    .summary(summary)
    .description(details === undefined ? sentence : `${sentence}\n\n${details}`)
    .addHelpText('after', `\nExamples:\n${shown}`)
  if (!isDefault) return verb
  // A word that is not a verb of the parent arrives here.
  verb.allowExcessArguments().hook('preAction', () => {
    const [unknown] = verb.args
    const known = parent.commands.map((each) => each.name()).join(', ')
    if (unknown !== undefined) parent.error(`error: unknown command '${unknown}'; there are ${known}`)
  })
  return verb
}

/** Options of verbs that call a cluster. */
export interface ClusterFlags {
  readonly context?: string
  readonly dir?: string
}

export interface JsonFlag {
  readonly json?: boolean
}

export function clusterOptions(verb: Command): Command {
  return verb
    .option('--context <name>', 'the cluster of this context (mayfly context list)', notEmpty)
    .option('--dir <folder>', 'the cluster whose `mayfly up` keeps its state in this folder', notEmpty)
}

export function jsonOption(verb: Command, what = 'JSON instead of text'): Command {
  return verb.option('--json', `print ${what}`)
}

export function notEmpty(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('It is empty.')
}

/** The beginning of keys, for a grant. Bytes that are not UTF-8 arrive as U+FFFD and would grant other keys. */
export function keyPrefix(text: string): string {
  const flaw = text.includes('\ufffd')
    ? 'holds U+FFFD, as which bytes that are not UTF-8 are read'
    : flawOfKeyText(notEmpty(text))
  if (flaw === null) return text
  throw new InvalidArgumentError(`It ${flaw}.`)
}

/** Runs `run` with the verb's words and options; what it returns is the exit code, by default 0. */
export function onRun<Flags>(
  verb: Command,
  cli: Cli,
  run: (words: readonly string[], flags: Flags) => Promise<number | undefined> | Promise<void>,
): void {
  verb.action(async () => {
    cli.exitCode = (await run(verb.args, verb.opts() as Flags)) ?? exitCodes.done
  })
}

/** The description of the argument `job`. */
export const jobText = 'id or name of a job (mayfly jobs)'
