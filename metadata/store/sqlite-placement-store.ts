import Database from 'better-sqlite3'
import { MayflyError } from '../../protocol/errors.ts'
import { DEAD_NODES_KEPT_MAX } from '../../protocol/limits.ts'
import { decodeRecord, encodeRecord, type JobRecord } from '../job-record.ts'
import type { PlacementStore } from './placement-store.ts'

/**
 * One row for a job. WAL without a sync at each commit: a commit survives the death of the process, and after the
 * death of the machine the nodes' data is gone as well.
 */
const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS server (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS dead_nodes (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
  INSERT OR IGNORE INTO server VALUES (1, 0);
`

export class SqlitePlacementStore implements PlacementStore {
  readonly #database: Database.Database
  readonly #save: Database.Statement<[string, Buffer]>
  readonly #remove: Database.Statement<[string]>

  /** `path` is a file, created where there is none. */
  constructor(path: string) {
    try {
      this.#database = new Database(path)
      this.#database.exec(schema)
    } catch (cause) {
      throw storeError(cause)
    }
    this.#save = this.#database.prepare('INSERT OR REPLACE INTO jobs VALUES (?, ?)')
    this.#remove = this.#database.prepare('DELETE FROM jobs WHERE id = ?')
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

  async save(record: JobRecord): Promise<void> {
    this.#run(() => this.#save.run(record.id, encodeRecord(record)))
  }

  async remove(job: string): Promise<void> {
    this.#run(() => this.#remove.run(job))
  }

  async deadNodes(): Promise<string[]> {
    return this.#run(() => this.#database.prepare('SELECT id FROM dead_nodes').pluck().all() as string[])
  }

  async addDeadNodes(nodes: readonly string[]): Promise<void> {
    this.#run(() => {
      const add = this.#database.prepare('INSERT OR IGNORE INTO dead_nodes (id) VALUES (?)')
      const prune = this.#database.prepare(
        'DELETE FROM dead_nodes WHERE number <= (SELECT max(number) FROM dead_nodes) - ?',
      )
      this.#database.transaction(() => {
        for (const node of nodes) add.run(node)
        prune.run(DEAD_NODES_KEPT_MAX)
      })()
    })
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  #run<Result>(task: () => Result): Result {
    try {
      return task()
    } catch (cause) {
      throw storeError(cause)
    }
  }
}

function storeError(cause: unknown): MayflyError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MayflyError('UNAVAILABLE', `The metadata store failed: ${reason}`, { cause })
}
