import { destination, type Logger, pino } from 'pino'
import { withRequest } from '../tracing/call-contexts.ts'
import { LogLimit } from './log-limit.ts'

export type { Logger } from 'pino'

/** The name of every logger. */
export type LogName = 'controller' | 'metadata' | 'storage-node' | 'gateway' | 'supervisor'

/** pino's level of a process's last line, which is never dropped. */
const FATAL = 60

/** JSON lines on standard error, rate-limited per message. `level` is one of pino's. */
export function createLog(name: LogName, level: string): Logger {
  const lines = destination({ dest: 2, sync: true })
  // A full disk accepts no lines; the process continues.
  lines.on('error', () => undefined)
  const limit = new LogLimit(() => performance.now())
  return pino(
    {
      name,
      level,
      mixin: withRequest,
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
