import Database from 'better-sqlite3'
import { MayflyError } from '../../protocol/errors.ts'
import type { Run } from '../history.ts'
import type { Job } from '../job.ts'
import type { NodeRecord } from '../node.ts'
import type { IdempotencyKey, Store } from './store.ts'

const SCHEMA_VERSION = 4

const SCHEMA = `
  CREATE TABLE jobs (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE nodes (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE runs (job TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    bodyHash TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX keysByJob ON keys (job);
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/**
 * The store as one SQLite file. Jobs, nodes and runs are JSON documents: they are read at start and looked up in memory
 * after that, so columns would serve nobody. WAL with `synchronous = NORMAL` survives the death of the process;
 * a power failure may take the last writes, and with them goes all that the nodes had in RAM.
 */
export class SqliteStore implements Store {
  readonly #database: Database.Database
  readonly #path: string

  /** Opens the file, or makes it. Throws `UNAVAILABLE`. */
  constructor(path: string) {
    this.#path = path
    try {
      this.#database = new Database(path)
      this.#database.pragma('journal_mode = WAL')
      this.#database.pragma('synchronous = NORMAL')
      this.#database.pragma('foreign_keys = ON')
    } catch (cause) {
      throw new MayflyError('UNAVAILABLE', `Cannot open the controller's state at ${path}`, { cause })
    }
    this.#prepareSchema()
  }

  async load(): Promise<{ jobs: Job[]; nodes: NodeRecord[]; keys: IdempotencyKey[]; runs: Run[] }> {
    return this.#translate(() => {
      const documents = (table: 'jobs' | 'nodes' | 'runs'): unknown[] =>
        this.#database
          .prepare<[], string>(`SELECT document FROM ${table}`)
          .pluck()
          .all()
          .map((document) => JSON.parse(document))
      return {
        jobs: documents('jobs') as Job[],
        nodes: documents('nodes') as NodeRecord[],
        keys: this.#database.prepare<[], IdempotencyKey>('SELECT key, bodyHash, job FROM keys').all(),
        runs: documents('runs') as Run[],
      }
    })
  }

  async putJobs(jobs: readonly Job[]): Promise<void> {
    this.#transaction(() => {
      for (const job of jobs) this.#put('jobs', job)
    })
  }

  async createJob(job: Job, key: IdempotencyKey | null): Promise<void> {
    this.#transaction(() => {
      this.#put('jobs', job)
      if (key !== null) {
        this.#run('INSERT INTO keys (key, bodyHash, job) VALUES (?, ?, ?)', key.key, key.bodyHash, key.job)
      }
    })
  }

  async endJob(job: Job, { run, forgotten }: { run: Run | null; forgotten: readonly Run[] }): Promise<void> {
    this.#transaction(() => {
      this.#put('jobs', job)
      for (const { job: id } of forgotten) this.#run('DELETE FROM runs WHERE job = ?', id)
      if (run !== null)
        this.#run('INSERT OR REPLACE INTO runs (job, document) VALUES (?, ?)', run.job, JSON.stringify(run))
    })
  }

  async deleteKeyOf(job: string): Promise<void> {
    this.#transaction(() => this.#run('DELETE FROM keys WHERE job = ?', job))
  }

  async deleteJobs(ids: readonly string[]): Promise<void> {
    this.#transaction(() => {
      for (const id of ids) this.#run('DELETE FROM jobs WHERE id = ?', id)
    })
  }

  async putNode(node: NodeRecord): Promise<void> {
    this.#transaction(() => this.#put('nodes', node))
  }

  async putDraining(node: NodeRecord, jobs: readonly Job[]): Promise<void> {
    this.#transaction(() => {
      this.#put('nodes', node)
      for (const job of jobs) this.#put('jobs', job)
    })
  }

  async deleteNode(id: string): Promise<void> {
    this.#transaction(() => this.#run('DELETE FROM nodes WHERE id = ?', id))
  }

  async close(): Promise<void> {
    this.#translate(() => this.#database.close())
  }

  #prepareSchema(): void {
    const version = this.#translate(() => this.#database.pragma('user_version', { simple: true }))
    if (version === SCHEMA_VERSION) return
    if (version !== 0) {
      this.#database.close()
      throw new MayflyError(
        'UNAVAILABLE',
        `${this.#path} has version ${String(version)} of the controller's state, not ${SCHEMA_VERSION}`,
      )
    }
    this.#transaction(() => this.#database.exec(SCHEMA))
  }

  #put(table: 'jobs' | 'nodes', record: Job | NodeRecord): void {
    this.#run(
      `INSERT INTO ${table} (id, document) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document`,
      record.id,
      JSON.stringify(record),
    )
  }

  #run(sql: string, ...values: string[]): void {
    this.#database.prepare(sql).run(...values)
  }

  #transaction(task: () => void): void {
    this.#translate(() => this.#database.transaction(task).immediate())
  }

  #translate<T>(task: () => T): T {
    try {
      return task()
    } catch (cause) {
      // Which file that is, and what the driver says of it, is for the log.
      const isFull = cause instanceof Database.SqliteError && cause.code === 'SQLITE_FULL'
      const what = isFull ? 'The disk is full that holds' : 'The disk or database failed that holds'
      throw new MayflyError('UNAVAILABLE', `${what} the controller's state`, { cause })
    }
  }
}
