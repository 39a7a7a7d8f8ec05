import type { Timer } from '../protocol/runtime.ts'
import { PERSISTED_SWEEP_MS } from '../service/persisted/persisted-limits.ts'
import type { PersistedStore } from '../service/persisted/persisted-store.ts'
import type { Background } from '../service/process/background.ts'
import type { Logger } from '../service/process/log.ts'
import type { Ledger } from './ledger/ledger.ts'

interface Around {
  readonly background: Background
  readonly log: Logger
  readonly ledger: Pick<Ledger, 'get'>
}

/** Frees expired persistent objects of ended jobs, for as long as the controller runs. Retries while the store is unreachable. */
export function sweepPersisted(
  store: PersistedStore,
  { background, log, ledger }: Around,
): Pick<Timer, 'cancel'> {
  const hasEnded = (id: string): boolean => (ledger.get(id)?.state ?? 'ended') === 'ended'
  return background.every(PERSISTED_SWEEP_MS, ['sweepPersisted', ''], async () => {
    const removed = await store.sweep(hasEnded)
    if (removed > 0) log.info({ removed }, 'expired persisted objects were removed')
  })
}
