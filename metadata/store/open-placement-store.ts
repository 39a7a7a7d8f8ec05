import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Runtime } from '../../protocol/runtime.ts'
import type { LeadEvents } from '../../service/postgres/leadership.ts'
import { DATABASE_AWAY_MS_MAX } from '../../service/postgres/limits.ts'
import type { StateAt } from '../../service/postgres/postgres-settings.ts'
import type { Logger } from '../../service/process/log.ts'
import { type PlacementStore, soleTenure, type Tenure } from './placement-store.ts'
import { metadataSchema, PostgresPlacementStore } from './postgres-placement-store.ts'
import { SqlitePlacementStore } from './sqlite-placement-store.ts'

interface Opened {
  readonly store: PlacementStore
  readonly tenure: Tenure
  /** To be called when another process acts as this metadata server: this process ends. */
  readonly giveUp: (reason: string) => void
}

interface Around extends LeadEvents {
  readonly runtime: Runtime
  readonly log: Logger
}

/**
 * The server's decisions: in PostgreSQL where a database is configured, as soon as this process has the lead of the identity, else in a file.
 * While PostgreSQL is away the process goes on granting leases to nodes, so that functions go on, and decides nothing. `onLost` is
 * called when another process has the identity, or may have it; `onStandby` when another one leads.
 */
export async function openPlacementStore(
  { id, state }: { readonly id: string; readonly state: StateAt },
  { runtime, log, ...told }: Around,
): Promise<Opened> {
  if (state.kind === 'sqlite') {
    mkdirSync(state.dir, { recursive: true, mode: 0o700 })
    const store = new SqlitePlacementStore(join(state.dir, 'metadata.sqlite'))
    return { store, tenure: soleTenure, giveUp: told.onLost }
  }
  // Loaded only here: the driver takes start-up time and memory.
  const { openLead } = await import('../../service/postgres/leadership.ts')
  const { url } = state
  const options = { url, role: `metadata/${id}`, runtime, log, toleratedMs: DATABASE_AWAY_MS_MAX }
  const lead = await openLead(options, metadataSchema, told)
  return {
    store: new PostgresPlacementStore(lead, id),
    tenure: lead,
    giveUp: (reason) => lead.giveUp(reason),
  }
}
