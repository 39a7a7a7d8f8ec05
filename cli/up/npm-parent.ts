import { type Clock, repeat, type Timer } from '../../protocol/runtime.ts'
import type { Environment } from '../../service/process/environment.ts'

/** Interval of the check. */
const LOOK_MS = 250

/**
 * Calls `onGone` once npm has ended, if it started this process. npm (npx, npm run) passes SIGTERM to the shell that it starts, and the shell
 * ends without passing it on: the command would continue without a parent. Other parents may end legitimately, such as a terminal after
 * `nohup`.
 */
export function watchNpm(environment: Environment, clock: Clock, onGone: () => void): Timer | null {
  if (environment.npm_command === undefined && environment.npm_lifecycle_event === undefined) return null
  const parent = process.ppid
  const timer = repeat(clock, LOOK_MS, () => {
    if (process.ppid === parent) return
    timer.cancel()
    onGone()
  })
  timer.unref()
  return timer
}
