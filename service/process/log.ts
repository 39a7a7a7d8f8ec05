import { destination, type Logger, pino } from 'pino'
import { LogLimit } from './log-limit.ts'

export type { Logger } from 'pino'

/** Every logger of Mayfly by its name. */
export type LogName = 'controller' | 'metadata' | 'storage-node' | 'supervisor'

/** pino's number of the level of a process's last line, which is never left out. */
const FATAL = 60

/** JSON lines on standard error, each message at a bounded rate. `level` is one of pino's. */
export function createLog(name: LogName, level: string): Logger {
  const lines = destination({ dest: 2, sync: true })
  // A disk that is full takes no lines. Whoever wanted to log goes on.
  lines.on('error', () => undefined)
  const limit = new LogLimit(() => performance.now())
  return pino(
    {
      name,
      level,
      hooks: {
        logMethod(args, method, lineLevel) {
          const [first, message] = args as [unknown, string?]
          const suppressed = lineLevel >= FATAL ? 0 : limit.take(message ?? String(first))
          if (suppressed === null) return
          if (suppressed > 0 && message !== undefined)
            method.call(this, { ...(first as object), suppressed }, message)
          else method.apply(this, args)
        },
      },
    },
    lines,
  )
}
