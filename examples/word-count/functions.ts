import { spawn } from 'node:child_process'
import { join } from 'node:path'

interface Run {
  readonly program: string
  readonly processes: number
  /** Maximum number of concurrent processes. */
  readonly atOnce: number
  readonly ticket: string
  /** Called repeatedly while the processes run. */
  readonly watch: () => Promise<void>
}

const WATCH_MS = 200

/** Stands in for a FaaS platform: starts each process with only a ticket, and waits until all have ended. That one failed only shows in what is missing. */
export async function runFunctions({ program, processes, atOnce, ticket, watch }: Run): Promise<void> {
  const end = new AbortController()
  let waiting = processes
  const lane = async (): Promise<void> => {
    while (waiting > 0) {
      waiting--
      const ended = await runFunction(join(import.meta.dirname, program), ticket, end.signal)
      if (ended !== 0) console.error(`${program} ended with ${ended}`)
    }
  }
  const lanes = Promise.all(Array.from({ length: atOnce }, lane))
  try {
    let done = false
    while (!done) {
      const pause = new Promise<false>((resolve) => setTimeout(() => resolve(false), WATCH_MS))
      done = await Promise.race([lanes.then(() => true), pause])
      await watch()
    }
  } finally {
    end.abort()
  }
}

/** Of a cluster that speaks TLS. */
const caFile = process.env.MAYFLY_CA_FILE

/** Resolves with the exit code, or the signal that killed it. */
function runFunction(
  program: string,
  ticket: string,
  signal: AbortSignal,
): Promise<number | NodeJS.Signals | null> {
  const child = spawn(process.execPath, [program], {
    env: { MAYFLY_TICKET: ticket, ...(caFile !== undefined && { MAYFLY_CA_FILE: caFile }) },
    stdio: ['ignore', 'inherit', 'inherit'],
    signal,
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, killer) => resolve(code ?? killer))
  })
}
