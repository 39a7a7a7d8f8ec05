import { fileURLToPath } from 'node:url'
import { runProgram } from '../fixture/run-program.ts'

const program = fileURLToPath(new URL('run.js', import.meta.url))

/** Runs the command as a developer does. Rejects with its output if it fails. */
export async function simulate(...flags: string[]): Promise<string> {
  return (await runProgram([program, ...flags])).stdout
}
