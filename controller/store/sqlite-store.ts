import Database from 'better-sqlite3'
import { MayflyError } from '../../protocol/errors.ts'
import type { Job } from '../records/job.ts'
import type { KeyRecord } from '../records/key-record.ts'
import type { NodeRecord } from '../records/node.ts'
import type { Run } from '../sizing/run-stats.ts'
import type { IdempotencyKey, Store, Stored } from './store.ts'

const SCHEMA_VERSION = 5

const SCHEMA = `
  CREATE TABLE jobs (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE nodes (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE runs (job TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    bodyHash TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (owner, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX keysByJob ON keys (job);
  CREATE TABLE apiKeys (name TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** Each entry migrates a file from the version before to that version. */
const MIGRATIONS: Readonly<Record<number, string>> = {
  // Idempotency keys and runs belong to the owner of their job; API keys are stored here.
  4: `
    CREATE TABLE keysOfOwners (
      owner TEXT NOT NULL,
      key TEXT NOT NULL,
      bodyHash TEXT NOT NULL,
      job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
      PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO keysOfOwners
      SELECT json_extract(jobs.document, '$.owner'), keys.key, keys.bodyHash, keys.job
      FROM keys JOIN jobs ON jobs.id = keys.job;
    DROP TABLE keys;
    ALTER TABLE keysOfOwners RENAME TO keys;
    CREATE INDEX keysByJob ON keys (job);
    CREATE TABLE apiKeys (name TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
    UPDATE runs SET document = json_set(document, '$.name',
      coalesce((SELECT json_extract(jobs.document, '$.owner') FROM jobs WHERE jobs.id = runs.job), 'default')
        || '/' || json_extract(document, '$.name'));
    PRAGMA user_version = 5;
  `,
}

/**
 * The store as one SQLite file. Jobs, nodes and runs are JSON documents, because they are read once at start and looked up in memory afterwards. WAL with
 * `synchronous = NORMAL` survives the death of the process. A power failure may lose the last writes, but it also loses everything in the nodes' RAM.
 */
export class SqliteStore implements Store {
  readonly #database: Database.Database
  readonly #path: string

  /** Opens or creates the file. Throws `UNAVAILABLE`. */
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

  async load(): Promise<Stored> {
    return this.#translate(() => {
      const documents = (table: 'jobs' | 'nodes' | 'runs' | 'apiKeys'): unknown[] =>
        this.#database
          .prepare<[], string>(`SELECT document FROM ${table}`)
          .pluck()
          .all()
          .map((document) => JSON.parse(document))
      return {
        jobs: documents('jobs') as Job[],
        nodes: documents('nodes') as NodeRecord[],
        keys: this.#database.prepare<[], IdempotencyKey>('SELECT owner, key, bodyHash, job FROM keys').all(),
        runs: documents('runs') as Run[],
        apiKeys: documents('apiKeys') as KeyRecord[],
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
        const { owner, bodyHash } = key
        const insert = 'INSERT INTO keys (owner, key, bodyHash, job) VALUES (?, ?, ?, ?)'
        this.#run(insert, owner, key.key, bodyHash, key.job)
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

  async putApiKey(key: KeyRecord): Promise<void> {
    this.#transaction(() =>
      this.#run(
        'INSERT OR REPLACE INTO apiKeys (name, document) VALUES (?, ?)',
        key.name,
        JSON.stringify(key),
      ),
    )
  }

  async deleteApiKey(name: string): Promise<void> {
    this.#transaction(() => this.#run('DELETE FROM apiKeys WHERE name = ?', name))
  }

  async close(): Promise<void> {
    this.#translate(() => this.#database.close())
  }

  #prepareSchema(): void {
    const version = this.#translate(() => this.#database.pragma('user_version', { simple: true }))
    if (version === SCHEMA_VERSION) return
    if (MIGRATIONS[Number(version)] !== undefined) return this.#migrate(Number(version))
    if (version !== 0) {
      this.#database.close()
      throw new MayflyError(
        'UNAVAILABLE',
        `${this.#path} has version ${String(version)} of the controller's state, not ${SCHEMA_VERSION}`,
      )
    }
    this.#transaction(() => this.#database.exec(SCHEMA))
  }

  /** Migrates step by step to the current version, in one transaction. */
  #migrate(from: number): void {
    this.#transaction(() => {
      for (let version = from; version < SCHEMA_VERSION; version++)
        this.#database.exec(MIGRATIONS[version] ?? '')
    })
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
      // The path and the driver's message go only to the log.
      const isFull = cause instanceof Database.SqliteError && cause.code === 'SQLITE_FULL'
      const what = isFull ? 'The disk is full that holds' : 'The disk or database failed that holds'
      throw new MayflyError('UNAVAILABLE', `${what} the controller's state`, { cause })
    }
  }
}
