import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { isError } from '../protocol/errors.ts'
import type { CliConfig } from './config.ts'
import { buildProgram } from './program.ts'
import { printable } from './terminal/table.ts'
import type { Terminal } from './terminal/terminal.ts'
import { type Cli, exitCodes } from './verb.ts'

/** Runs one command line, without the leading `node` and file, and returns the exit code. Never rejects. */
export async function runCommand(
  args: readonly string[],
  config: CliConfig,
  terminal: Terminal,
): Promise<number> {
  const cli: Cli = { config, terminal, exitCode: exitCodes.done }
  try {
    await buildProgram(cli, readVersion()).parseAsync(args, { from: 'user' })
    return cli.exitCode
  } catch (error) {
    // Commander has already printed the help text, or the error of the command line.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.misused
    const message = fileFault(error) ?? (error instanceof Error ? error.message : String(error))
    terminal.printError(`mayfly: ${printable(message)}`)
    return exitCodeOf(error)
  }
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read or written by this user',
  EISDIR: 'is a folder',
  ENOTDIR: 'has a file where a folder should be',
  ENOSPC: 'does not fit on its disk',
  ELOOP: 'is a link to itself',
}

/** The problem with a file that the user named; null for another error. */
function fileFault(error: unknown): string | null {
  const {
    code = '',
    path,
    dest,
  } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException & { dest?: string }
  const fault = fileFaults[code]
  // A file is written under a temporary name first, so the user's path is the target of the rename.
  return fault === undefined || path === undefined ? null : `${dest ?? path} ${fault}`
}

function exitCodeOf(error: unknown): number {
  if (isError(error, 'NOT_FOUND', 'JOB_NOT_FOUND', 'BUCKET_NOT_FOUND', 'NODE_NOT_FOUND'))
    return exitCodes.missing
  return isError(error, 'ABORTED') ? exitCodes.interrupted : exitCodes.failed
}

/** The version of the package; this file is compiled to dist/cli/run.js. */
function readVersion(): string {
  const { pathname } = new URL('.', import.meta.url)
  const up = pathname.endsWith('/dist/cli/') ? '../../' : '../'
  const manifest = readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
