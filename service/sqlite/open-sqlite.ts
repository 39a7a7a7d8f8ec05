import Database from 'better-sqlite3'
import { MayflyError } from '../../protocol/errors.ts'

/** The tables of one kind of file. */
export interface SqliteSchema {
  /** What the file holds, for errors: `the controller's state`. */
  readonly what: string
  /** `user_version` of the file; it changes with the tables, and with what the rows mean. */
  readonly version: number
  /** Statements that make the tables of this version. */
  readonly tables: string
  /** Statements that migrate from one version to the next. Files of versions before the first cannot be opened. */
  readonly migrations: Readonly<Record<number, string>>
}

/**
 * Opens or creates a file, and migrates one of an earlier version, in one transaction. WAL with `synchronous = NORMAL`: a commit survives the
 * death of the process. A power failure may lose the last ones, but it also loses everything in the nodes' RAM. Throws `UNAVAILABLE`, and then
 * the file is as it was.
 */
export function openSqlite(path: string, schema: SqliteSchema): Database.Database {
  let database: Database.Database | null = null
  try {
    database = new Database(path)
    prepare(database, path, schema)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    database.pragma('foreign_keys = ON')
    return database
  } catch (cause) {
    database?.close()
    if (cause instanceof MayflyError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new MayflyError('UNAVAILABLE', `Cannot open ${schema.what} at ${path}: ${reason}`, { cause })
  }
}

/** What a failed statement means for users. The path and the driver's message go only to the log. */
export function sqliteFailure(what: string, cause: unknown): MayflyError {
  if (cause instanceof MayflyError) return cause
  const isFull = cause instanceof Database.SqliteError && cause.code === 'SQLITE_FULL'
  const which = isFull ? 'The disk is full that holds' : 'The disk or database failed that holds'
  return new MayflyError('UNAVAILABLE', `${which} ${what}`, { cause })
}

function prepare(database: Database.Database, path: string, schema: SqliteSchema): void {
  const { what, version, tables, migrations } = schema
  const found = Number(database.pragma('user_version', { simple: true }))
  const hasTables = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table'").get() !== undefined
  if (found === version) return
  if (found > version) {
    const known = `from a newer Mayfly; this one knows ${version}`
    throw new MayflyError('UNAVAILABLE', `${path} has version ${found} of ${what}, ${known}`)
  }
  const steps = found === 0 && !hasTables ? [tables] : range(found, version).map((from) => migrations[from])
  if (steps.includes(undefined)) {
    const known = `which this Mayfly cannot bring to version ${version}; start with another --dir`
    throw new MayflyError('UNAVAILABLE', `${path} has version ${found} of ${what}, ${known}`)
  }
  database
    .transaction(() => {
      for (const step of steps) database.exec(step ?? '')
      database.pragma(`user_version = ${version}`)
    })
    .immediate()
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}
