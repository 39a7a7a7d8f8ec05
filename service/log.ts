import { destination, type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** Every logger of Mayfly by its name. */
export type LogName = 'controller' | 'metadata' | 'storage-node' | 'supervisor'

/** JSON lines on standard error. `level` is one of pino's. */
export function createLog(name: LogName, level: string): Logger {
  return pino({ name, level }, destination({ dest: 2, sync: true }))
}
