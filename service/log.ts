import { destination, type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** Every logger of Mayfly by its name. */
export const logNames = ['controller', 'metadata', 'storage-node', 'supervisor'] as const

/** JSON lines on standard error. `level` is one of pino's. */
export function createLog(name: (typeof logNames)[number], level: string): Logger {
  return pino({ name, level }, destination({ dest: 2, sync: true }))
}
