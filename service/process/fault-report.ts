import { MayflyError } from '../../protocol/errors.ts'
import type { Logger } from './log.ts'

let faults = 0

/**
 * The error that a caller gets for a bug: it refers to the log without its text, which may concern another
 * job or name files. `server` is the process that logs it.
 */
export function reportFault(thrown: unknown, { server, log }: { server: string; log: Logger }): MayflyError {
  const fault = `${server}/${++faults}`
  log.error({ err: thrown, fault }, 'a request failed by a bug')
  return new MayflyError(
    'INTERNAL',
    `A request failed by a bug; the log of ${server} has it as fault ${fault}`,
  )
}
