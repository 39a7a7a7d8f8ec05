import { isError, type MayflyError } from '../protocol/errors.ts'
import { KEPT_SWEEP_MS } from '../protocol/limits.ts'
import { type Clock, repeat, type Timer } from '../protocol/runtime.ts'
import type { KeptStore } from '../service/kept/kept-store.ts'
import type { Logger } from '../service/log.ts'

/** Frees kept objects whose time is over, for as long as the controller runs. A store that cannot be reached is tried again. */
export function sweepKept(kept: KeptStore, around: { clock: Clock; log: Logger }): Pick<Timer, 'cancel'> {
  const { clock, log } = around
  return repeat(clock, KEPT_SWEEP_MS, async () => {
    try {
      const removed = await kept.sweep()
      if (removed > 0) log.info({ removed }, 'kept objects have expired')
    } catch (error) {
      if (!isError(error, 'UNAVAILABLE', 'FORBIDDEN', 'BAD_REQUEST')) throw error
      log.warn({ reason: (error as MayflyError).reason }, 'the kept store cannot be swept')
    }
  })
}
