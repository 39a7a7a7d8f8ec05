#!/usr/bin/env node
import { readConfig } from './config.ts'
import { runCommand } from './run.ts'

// Whoever reads the output may have seen enough, as `head` does; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

// Output that is still on its way to a pipe would be lost in process.exit().
process.exitCode = await runCommand(process.argv.slice(2), readConfig(), {
  print: (text) => void process.stdout.write(`${text}\n`),
  printError: (text) => void process.stderr.write(`${text}\n`),
  // Carriage return, then the control sequence that clears the line (ECMA-48, EL).
  ...(process.stdout.isTTY && { redraw: (line: string) => void process.stdout.write(`\r\u001b[K${line}`) }),
})
