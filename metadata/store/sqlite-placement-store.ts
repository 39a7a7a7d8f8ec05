import Database from 'better-sqlite3'
import { MayflyError } from '../../protocol/errors.ts'
import { DEAD_NODES_RETAINED_MAX } from '../../protocol/limits.ts'
import { decodeRecord, encodeRecord, type JobRecord, type MovedJob } from '../decide/job-record.ts'
import type { PlacementStore } from './placement-store.ts'

/** Version of the tables and of the records in them. */
const FORMAT = 3
/** Oldest version that can be migrated. */
const FORMAT_MIN = 2

/**
 * One row per job. WAL with `synchronous = NORMAL`: a commit survives the death of the process. After a power failure the nodes' data is
 * gone as well, so a sync per commit would gain nothing.
 */
const schema = `
  PRAGMA user_version = ${FORMAT};
  CREATE TABLE IF NOT EXISTS moved (id TEXT PRIMARY KEY, term INTEGER NOT NULL, address TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS server (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS dead_nodes (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
  INSERT OR IGNORE INTO server VALUES (1, 0);
`

export class SqlitePlacementStore implements PlacementStore {
  readonly #database: Database.Database
  readonly #save: Database.Statement<[string, Buffer]>
  readonly #remove: Database.Statement<[string]>
  readonly #return: Database.Statement<[string]>
  readonly #move: Database.Statement<[string, number, string]>

  /** `path` is a file, created if missing. Throws `UNAVAILABLE`, also for a file of an unsupported version. */
  constructor(path: string) {
    try {
      this.#database = new Database(path)
      this.#database.pragma('journal_mode = WAL')
      this.#database.pragma('synchronous = NORMAL')
      requireFormat(this.#database, path)
      this.#database.exec(schema)
    } catch (cause) {
      if (cause instanceof MayflyError) throw cause
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new MayflyError('UNAVAILABLE', `Cannot open the metadata server's state at ${path}: ${reason}`, {
        cause,
      })
    }
    this.#save = this.#database.prepare('INSERT OR REPLACE INTO jobs VALUES (?, ?)')
    this.#remove = this.#database.prepare('DELETE FROM jobs WHERE id = ?')
    this.#return = this.#database.prepare('DELETE FROM moved WHERE id = ?')
    this.#move = this.#database.prepare('INSERT OR REPLACE INTO moved VALUES (?, ?, ?)')
  }

  async nextGeneration(): Promise<number> {
    return this.#run(() => {
      const next = this.#database.prepare(
        'UPDATE server SET generation = generation + 1 RETURNING generation',
      )
      return next.pluck().get() as number
    })
  }

  async jobs(): Promise<JobRecord[]> {
    return this.#run(() => {
      const records = this.#database.prepare('SELECT record FROM jobs ORDER BY id').pluck().all() as Buffer[]
      return records.map(decodeRecord)
    })
  }

  async moved(): Promise<MovedJob[]> {
    return this.#run(() => this.#database.prepare<[], MovedJob>('SELECT id, term, address FROM moved').all())
  }

  async save(record: JobRecord): Promise<void> {
    this.#transaction(() => {
      this.#save.run(record.id, encodeRecord(record))
      this.#return.run(record.id)
    })
  }

  async saveMoved({ id, term, address }: MovedJob): Promise<void> {
    this.#transaction(() => {
      this.#remove.run(id)
      this.#move.run(id, term, address)
    })
  }

  async remove(job: string): Promise<void> {
    this.#transaction(() => {
      this.#remove.run(job)
      this.#return.run(job)
    })
  }

  async deadNodes(): Promise<string[]> {
    return this.#run(() => this.#database.prepare('SELECT id FROM dead_nodes').pluck().all() as string[])
  }

  async addDeadNodes(nodes: readonly string[]): Promise<void> {
    this.#transaction(() => {
      const add = this.#database.prepare('INSERT OR IGNORE INTO dead_nodes (id) VALUES (?)')
      const prune = this.#database.prepare(
        'DELETE FROM dead_nodes WHERE number <= (SELECT max(number) FROM dead_nodes) - ?',
      )
      for (const node of nodes) add.run(node)
      prune.run(DEAD_NODES_RETAINED_MAX)
    })
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  #transaction(task: () => void): void {
    this.#run(() => this.#database.transaction(task)())
  }

  #run<Result>(task: () => Result): Result {
    try {
      return task()
    } catch (cause) {
      throw storeError(cause)
    }
  }
}

/** The migration from each version to the next. 2: append an empty list of bucket requests (u32 0) to each record. */
const migrations: Readonly<Record<number, string>> = {
  2: "UPDATE jobs SET record = CAST(record || x'00000000' AS BLOB)",
}

/** Older supported versions are migrated. Any other version is refused. A file without tables is new. */
function requireFormat(database: Database.Database, path: string): void {
  const version = Number(database.pragma('user_version', { simple: true }))
  const isNew = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table'").get() === undefined
  if (version === FORMAT || isNew) return
  if (version >= FORMAT_MIN && version < FORMAT) return migrate(database, version)
  database.close()
  throw new MayflyError(
    'UNAVAILABLE',
    `${path} has version ${version} of the metadata server's state, not ${FORMAT}; start with another --dir`,
  )
}

/** Migrates in one transaction. */
function migrate(database: Database.Database, from: number): void {
  const steps = Array.from({ length: FORMAT - from }, (_, step) => migrations[from + step] ?? '')
  database.transaction(() => {
    for (const step of steps) database.exec(step)
    database.pragma(`user_version = ${FORMAT}`)
  })()
}

function storeError(cause: unknown): MayflyError {
  if (cause instanceof MayflyError) return cause
  const { code = '' } = cause instanceof Database.SqliteError ? cause : {}
  return new MayflyError('UNAVAILABLE', `The disk or database of the metadata server failed ${code}`.trim(), {
    cause,
  })
}
