import { MayflyError } from '../../protocol/errors.ts'
import { Database, DatabaseError } from './database.ts'
import { DATABASE_LOAD_MS_MAX } from './limits.ts'
import { type Sql, sql } from './sql.ts'

/** The tables of one part of Mayfly in a database that other parts use too. */
export interface Schema {
  readonly component: string
  /** The statements that migrate from each version to the next; version 0 has no tables. */
  readonly steps: readonly (readonly Sql[])[]
}

/** Key of the advisory lock; no other program may use it. */
const LOCK = 7_160_217_400

/**
 * Migrates the tables to the last version, in one transaction; concurrent processes wait for one another. Rejects with `UNAVAILABLE` if a
 * newer Mayfly has written them, or the database does not answer.
 */
export async function migrate(url: string, { component, steps }: Schema): Promise<void> {
  const name = `mayfly migration of ${component}`
  const database = new Database({ url, name, connectionsMax: 1, statementMsMax: DATABASE_LOAD_MS_MAX })
  try {
    await database.transaction(async (run) => {
      await run(sql`SELECT pg_advisory_xact_lock(${LOCK})`)
      await run(
        sql`CREATE TABLE IF NOT EXISTS schema_versions (component text PRIMARY KEY, version int NOT NULL)`,
      )
      const [row] = await run(sql`SELECT version FROM schema_versions WHERE component = ${component}`)
      const version = Number(row?.version ?? 0)
      if (version > steps.length) throw tooNew({ component, version, known: steps.length })
      for (const step of steps.slice(version)) for (const statement of step) await run(statement)
      await run(sql`
        INSERT INTO schema_versions VALUES (${component}, ${steps.length})
        ON CONFLICT (component) DO UPDATE SET version = excluded.version`)
    })
  } catch (cause) {
    if (!(cause instanceof DatabaseError)) throw cause
    const what = `The tables of ${component} in PostgreSQL cannot be prepared: ${cause.message}`
    throw new MayflyError('UNAVAILABLE', what, { cause })
  } finally {
    await database.close()
  }
}

function tooNew({
  component,
  version,
  known,
}: {
  component: string
  version: number
  known: number
}): MayflyError {
  return new MayflyError(
    'UNAVAILABLE',
    `The database has version ${version} of the ${component}'s tables, from a newer Mayfly; this one knows ${known}`,
  )
}
