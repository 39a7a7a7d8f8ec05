#!/usr/bin/env node
import { readConfig } from './config.ts'
import { runCommand } from './run.ts'
import { processTerminal } from './terminal/terminal.ts'

// A reader such as `head` may close the pipe early; that is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

// process.exit() would lose output that is still in a pipe.
process.exitCode = await runCommand(process.argv.slice(2), readConfig(), processTerminal(process))
