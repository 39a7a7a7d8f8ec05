import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Runtime } from '../../protocol/runtime.ts'
import type { LeadEvents } from '../../service/postgres/leadership.ts'
import type { StateAt } from '../../service/postgres/postgres-settings.ts'
import type { Logger } from '../../service/process/log.ts'
import { controllerSchema, PostgresStore } from './postgres-store.ts'
import { SqliteStore } from './sqlite-store.ts'
import type { Store } from './store.ts'

interface Around extends LeadEvents {
  readonly runtime: Runtime
  readonly log: Logger
}

/**
 * The controller's decisions: in PostgreSQL where a database is configured, as soon as this process leads, else in a file. `onLost` is
 * called when this process leads no more, before another one can; `onStandby` when another one leads.
 */
export async function openStore(state: StateAt, { runtime, log, ...told }: Around): Promise<Store> {
  if (state.kind === 'sqlite') {
    mkdirSync(state.dir, { recursive: true, mode: 0o700 })
    return new SqliteStore(join(state.dir, 'controller.sqlite'))
  }
  // Loaded only here: the driver takes start-up time and memory.
  const { openLead } = await import('../../service/postgres/leadership.ts')
  const options = { url: state.url, role: 'controller', runtime, log, toleratedMs: 0 }
  return new PostgresStore(await openLead(options, controllerSchema, told))
}
