import type Database from 'better-sqlite3'
import { openSqlite, type SqliteSchema, sqliteFailure } from '../../service/sqlite/open-sqlite.ts'
import type { Job } from '../records/job.ts'
import type { KeyRecord } from '../records/key-record.ts'
import type { NodeRecord } from '../records/node.ts'
import type { Run } from '../sizing/run-stats.ts'
import type { IdempotencyKey, Store, Stored } from './store.ts'

const what = "the controller's state"

const schema: SqliteSchema = {
  what,
  version: 5,
  tables: `
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
  `,
  migrations: {
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
    `,
  },
}

/**
 * The store as one SQLite file. Jobs, nodes and runs are JSON documents, because they are read once at start and looked up in memory
 * afterwards.
 */
export class SqliteStore implements Store {
  readonly #database: Database.Database

  /** Opens or creates the file. Throws `UNAVAILABLE`. */
  constructor(path: string) {
    this.#database = openSqlite(path, schema)
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
      throw sqliteFailure(what, cause)
    }
  }
}
