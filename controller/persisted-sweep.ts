import type { Timer } from '../protocol/runtime.ts'
import { KEPT_SWEEP_MS } from '../service/kept/kept-limits.ts'
import type { KeptStore } from '../service/kept/kept-store.ts'
import type { Background } from '../service/process/background.ts'
import type { Logger } from '../service/process/log.ts'
import type { Ledger } from './placement/ledger.ts'

interface Around {
  readonly background: Background
  readonly log: Logger
  readonly ledger: Pick<Ledger, 'get'>
}

/**
 * Frees kept objects whose time is over once their job has ended, for as long as the controller runs. A store that cannot be reached
 * is tried again.
 */
export function sweepPersisted(kept: KeptStore, { background, log, ledger }: Around): Pick<Timer, 'cancel'> {
  const hasEnded = (id: string): boolean => (ledger.get(id)?.state ?? 'ended') === 'ended'
  return background.every(KEPT_SWEEP_MS, ['sweepPersisted', ''], async () => {
    const removed = await kept.sweep(hasEnded)
    if (removed > 0) log.info({ removed }, 'kept objects have expired')
  })
}
