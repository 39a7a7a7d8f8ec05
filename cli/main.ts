#!/usr/bin/env node
import { readConfig } from './config.ts'
import { runCommand } from './run.ts'
import { processTerminal } from './terminal/terminal.ts'

// A reader such as `head` may close the pipe early; that is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
// A cluster outlives its terminal: then nobody reads these lines, and an error about one would be the next line.
process.stderr.on('error', () => undefined)

// process.exit() would lose output that is still in a pipe.
process.exitCode = await runCommand(process.argv.slice(2), readConfig(), processTerminal(process))
