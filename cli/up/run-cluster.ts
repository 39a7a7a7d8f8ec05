import { MayflyError } from '../../protocol/errors.ts'
import { mustEndProcess } from '../../service/process/background.ts'
import { watchNpm } from './npm-parent.ts'
import { type Cluster, Supervisor, type SupervisorOptions } from './supervisor.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Exit code of a process that Ctrl-C ended, by the shell's convention: 128 + SIGINT. */
export const INTERRUPTED = 130

/**
 * Runs a cluster while `use` runs, and returns its result. The signal of `use` aborts on Ctrl-C, with `ABORTED`; `use` then has to end,
 * and the reason is thrown. No process of the cluster is left in any case. A second Ctrl-C kills at once.
 */
export async function runCluster<T>(
  options: SupervisorOptions,
  use: (cluster: Cluster, ended: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController()
  const supervisor = new Supervisor(options)
  let interrupted = false
  const interrupt = (): void => {
    if (interrupted) {
      supervisor.kill()
      process.exit(INTERRUPTED)
    }
    interrupted = true
    end.abort(new MayflyError('ABORTED', 'The cluster was interrupted'))
  }
  const escaped = (error: unknown): void => {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    options.say(`an error reached nobody: ${reason}`)
    if (!mustEndProcess(error)) return
    supervisor.kill()
    process.exit(1)
  }
  process.on('uncaughtException', escaped).on('unhandledRejection', escaped)
  for (const signal of signals) process.on(signal, interrupt)
  const npm = watchNpm(options.environment, options.runtime.clock, interrupt)
  try {
    const cluster = await Promise.race([supervisor.start(), rejectOn(end.signal)])
    const result = await use(cluster, end.signal)
    end.signal.throwIfAborted()
    return result
  } finally {
    npm?.cancel()
    await supervisor.stop()
    for (const signal of signals) process.off(signal, interrupt)
    process.off('uncaughtException', escaped).off('unhandledRejection', escaped)
  }
}

function rejectOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
