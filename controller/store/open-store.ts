import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Runtime } from '../../protocol/runtime.ts'
import { takeLead } from '../../service/postgres/leadership.ts'
import { migrate } from '../../service/postgres/migrations.ts'
import type { StateAt } from '../../service/postgres/postgres-settings.ts'
import type { Logger } from '../../service/process/log.ts'
import { controllerSchema, PostgresStore } from './postgres-store.ts'
import { SqliteStore } from './sqlite-store.ts'
import type { Store } from './store.ts'

/**
 * The controller's decisions: in PostgreSQL where a database is configured, as soon as this process leads, else in a file. `onLost` is
 * called when this process leads no more, before another one can.
 */
export async function openStore(
  state: StateAt,
  { runtime, log, onLost }: { runtime: Runtime; log: Logger; onLost: (reason: string) => void },
): Promise<Store> {
  if (state.kind === 'sqlite') {
    mkdirSync(state.dir, { recursive: true, mode: 0o700 })
    return new SqliteStore(join(state.dir, 'controller.sqlite'))
  }
  const { url } = state
  const options = { url, role: 'controller', runtime, log, toleratedMs: 0 }
  const lead = await takeLead(options, new AbortController().signal)
  void lead.lost.then(onLost)
  await migrate(url, controllerSchema)
  return new PostgresStore(lead)
}
