import type Database from 'better-sqlite3'
import { DEAD_NODES_RETAINED_MAX } from '../../protocol/limits.ts'
import { GroupCommit } from '../../service/sqlite/group-commit.ts'
import { openSqlite, type SqliteSchema, sqliteFailure } from '../../service/sqlite/open-sqlite.ts'
import { decodeRecord, encodeRecord, type JobRecord, type MovedJob } from '../decide/job-record.ts'
import type { PlacementStore } from './placement-store.ts'

const what = "the metadata server's state"

/** One row per job. The version is also that of the records in them. */
const schema: SqliteSchema = {
  what,
  version: 4,
  tables: `
    CREATE TABLE moved (id TEXT PRIMARY KEY, term INTEGER NOT NULL, address TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE jobs (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE server (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, address TEXT);
    CREATE TABLE dead_nodes (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
    INSERT INTO server VALUES (1, 0, NULL);
  `,
  migrations: {
    // An empty list of bucket requests (u32 0) at the end of each record.
    2: "UPDATE jobs SET record = CAST(record || x'00000000' AS BLOB)",
    3: 'ALTER TABLE server ADD COLUMN address TEXT',
  },
}

export class SqlitePlacementStore implements PlacementStore {
  readonly #database: Database.Database
  readonly #commits: GroupCommit
  readonly #save: Database.Statement<[string, Buffer]>
  readonly #remove: Database.Statement<[string]>
  readonly #return: Database.Statement<[string]>
  readonly #move: Database.Statement<[string, number, string]>

  /** `path` is a file, created if missing. Throws `UNAVAILABLE`, also for a file of an unsupported version. */
  constructor(path: string) {
    this.#database = openSqlite(path, schema)
    this.#commits = new GroupCommit(this.#database, what)
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

  async address(): Promise<string | null> {
    return this.#run(
      () => this.#database.prepare<[], string | null>('SELECT address FROM server').pluck().get() ?? null,
    )
  }

  async saveAddress(address: string): Promise<void> {
    this.#run(() => this.#database.prepare('UPDATE server SET address = ?').run(address))
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

  save(record: JobRecord): Promise<void> {
    return this.#commits.run(() => {
      this.#save.run(record.id, encodeRecord(record))
      this.#return.run(record.id)
    })
  }

  saveMoved({ id, term, address }: MovedJob): Promise<void> {
    return this.#commits.run(() => {
      this.#remove.run(id)
      this.#move.run(id, term, address)
    })
  }

  remove(job: string): Promise<void> {
    return this.#commits.run(() => {
      this.#remove.run(job)
      this.#return.run(job)
    })
  }

  async deadNodes(): Promise<string[]> {
    return this.#run(() => this.#database.prepare('SELECT id FROM dead_nodes').pluck().all() as string[])
  }

  addDeadNodes(nodes: readonly string[]): Promise<void> {
    return this.#commits.run(() => {
      const add = this.#database.prepare('INSERT OR IGNORE INTO dead_nodes (id) VALUES (?)')
      const prune = this.#database.prepare(
        'DELETE FROM dead_nodes WHERE number <= (SELECT max(number) FROM dead_nodes) - ?',
      )
      for (const node of nodes) add.run(node)
      prune.run(DEAD_NODES_RETAINED_MAX)
    })
  }

  async close(): Promise<void> {
    this.#commits.commit()
    this.#database.close()
  }

  #run<Result>(task: () => Result): Result {
    try {
      return task()
    } catch (cause) {
      throw sqliteFailure(what, cause)
    }
  }
}
