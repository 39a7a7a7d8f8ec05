import type Database from 'better-sqlite3'
import { type Defer, GroupCommit } from '../../service/sqlite/group-commit.ts'
import { openSqlite, type SqliteSchema, sqliteFailure } from '../../service/sqlite/open-sqlite.ts'
import type { Job } from '../records/job.ts'
import type { KeyRecord } from '../records/key-record.ts'
import type { NodeRecord } from '../records/node.ts'
import type { Run } from '../sizing/run-stats.ts'
import type { History, IdempotencyKey, Store, Stored } from './store.ts'

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
  readonly #commits: GroupCommit
  readonly #statements = new Map<string, Database.Statement>()

  /** Opens or creates the file. Throws `UNAVAILABLE`. */
  constructor(path: string, defer?: Defer) {
    this.#database = openSqlite(path, schema)
    this.#commits = new GroupCommit(this.#database, what, defer)
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

  putJobs(jobs: readonly Job[]): Promise<void> {
    return this.#commits.run(() => this.#putJobs(jobs))
  }

  createJob(job: Job, key: IdempotencyKey | null): Promise<void> {
    return this.#commits.run(() => {
      this.#put('jobs', job)
      if (key !== null) {
        const { owner, bodyHash } = key
        const insert = 'INSERT INTO keys (owner, key, bodyHash, job) VALUES (?, ?, ?, ?)'
        this.#run(insert, owner, key.key, bodyHash, key.job)
      }
    })
  }

  endJob(job: Job, { run, forgotten, pruned }: History): Promise<void> {
    return this.#commits.run(() => {
      this.#put('jobs', job)
      for (const { job: id } of forgotten) this.#run('DELETE FROM runs WHERE job = ?', id)
      if (run !== null)
        this.#run('INSERT OR REPLACE INTO runs (job, document) VALUES (?, ?)', run.job, JSON.stringify(run))
      for (const id of pruned) this.#run('DELETE FROM jobs WHERE id = ?', id)
    })
  }

  deleteKeyOf(job: string): Promise<void> {
    return this.#commits.run(() => this.#run('DELETE FROM keys WHERE job = ?', job))
  }

  putNode(node: NodeRecord): Promise<void> {
    return this.#commits.run(() => this.#put('nodes', node))
  }

  putDraining(node: NodeRecord, jobs: readonly Job[]): Promise<void> {
    return this.#commits.run(() => {
      this.#put('nodes', node)
      this.#putJobs(jobs)
    })
  }

  deleteNode(id: string): Promise<void> {
    return this.#commits.run(() => this.#run('DELETE FROM nodes WHERE id = ?', id))
  }

  putApiKey(key: KeyRecord): Promise<void> {
    return this.#commits.run(() =>
      this.#run(
        'INSERT OR REPLACE INTO apiKeys (name, document) VALUES (?, ?)',
        key.name,
        JSON.stringify(key),
      ),
    )
  }

  deleteApiKey(name: string): Promise<void> {
    return this.#commits.run(() => this.#run('DELETE FROM apiKeys WHERE name = ?', name))
  }

  async close(): Promise<void> {
    this.#commits.commit()
    this.#translate(() => this.#database.close())
  }

  #putJobs(jobs: readonly Job[]): void {
    for (const job of jobs) this.#put('jobs', job)
  }

  #put(table: 'jobs' | 'nodes', record: Job | NodeRecord): void {
    this.#run(
      `INSERT INTO ${table} (id, document) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document`,
      record.id,
      JSON.stringify(record),
    )
  }

  #run(sql: string, ...values: string[]): void {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    statement.run(...values)
  }

  #translate<T>(task: () => T): T {
    try {
      return task()
    } catch (cause) {
      throw sqliteFailure(what, cause)
    }
  }
}
