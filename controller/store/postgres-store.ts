import { isError, MayflyError } from '../../protocol/errors.ts'
import { type Change, isLeader } from '../../service/postgres/fence.ts'
import type { Lead } from '../../service/postgres/lead.ts'
import type { Schema } from '../../service/postgres/migrations.ts'
import { type Sql, sql } from '../../service/postgres/sql.ts'
import type { Job } from '../records/job.ts'
import type { KeyRecord } from '../records/key-record.ts'
import type { NodeRecord } from '../records/node.ts'
import type { Run } from '../sizing/run-stats.ts'
import type { History, IdempotencyKey, Store, Stored } from './store.ts'

/** Documents are `text`, as `jsonb` would change the order of fields and refuse some characters. */
export const controllerSchema: Schema = {
  component: 'controller',
  steps: [
    [
      sql`CREATE TABLE controller_jobs (id text PRIMARY KEY, document text NOT NULL)`,
      sql`CREATE TABLE controller_nodes (id text PRIMARY KEY, document text NOT NULL)`,
      sql`CREATE TABLE controller_runs (job text PRIMARY KEY, document text NOT NULL)`,
      sql`CREATE TABLE controller_keys (
        owner text NOT NULL,
        key text NOT NULL,
        body_hash text NOT NULL,
        job text NOT NULL REFERENCES controller_jobs (id) ON DELETE CASCADE,
        PRIMARY KEY (owner, key)
      )`,
      sql`CREATE INDEX controller_keys_by_job ON controller_keys (job)`,
      sql`CREATE TABLE controller_api_keys (name text PRIMARY KEY, document text NOT NULL)`,
    ],
  ],
}

/** What one call changes, all or nothing. */
interface Writes {
  readonly jobs?: readonly Job[]
  readonly keys?: readonly IdempotencyKey[]
  readonly runs?: readonly Run[]
  readonly deletedRuns?: readonly string[]
  readonly deletedJobs?: readonly string[]
  /** Changes that share a statement with no other call. */
  readonly alone?: readonly Change[]
}

interface Waiting {
  readonly writes: Writes
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Calls whose writes are one statement at most: it stays a fraction of what the database takes in its time. */
const CALLS_OF_STATEMENT_MAX = 100

/**
 * The store in PostgreSQL. Writes are carried out in the order of the calls, as the ledger changes its memory in that order: one statement
 * after another, each with all that waits and changes different rows. A failed statement fails its writes and those that wait behind it, the
 * last one first: each is undone in memory in the reverse order.
 */
export class PostgresStore implements Store {
  readonly #lead: Lead
  readonly #waiting: Waiting[] = []
  #isWriting = false

  /** The tables have been prepared with `controllerSchema`. */
  constructor(lead: Lead) {
    this.#lead = lead
  }

  async load(): Promise<Stored> {
    const documents = async (table: Sql): Promise<unknown[]> => {
      const rows = await this.#lead.read(sql`SELECT document FROM ${table}`)
      return rows.map(({ document }) => JSON.parse(String(document)))
    }
    // Concurrent, because a take-over waits for all of them. No other process writes meanwhile.
    const [jobs, nodes, keys, runs, apiKeys] = await Promise.all([
      this.#loadJobs(documents(sql`controller_jobs ORDER BY id`) as Promise<Job[]>),
      documents(sql`controller_nodes ORDER BY id`) as Promise<NodeRecord[]>,
      this.#lead.read(
        sql`SELECT owner, key, body_hash AS "bodyHash", job FROM controller_keys ORDER BY owner, key`,
      ) as Promise<unknown> as Promise<IdempotencyKey[]>,
      documents(sql`controller_runs ORDER BY job`) as Promise<Run[]>,
      documents(sql`controller_api_keys ORDER BY name`) as Promise<KeyRecord[]>,
    ])
    return { jobs, nodes, keys, runs, apiKeys }
  }

  putJobs(jobs: readonly Job[]): Promise<void> {
    return this.#write({ jobs })
  }

  createJob(job: Job, key: IdempotencyKey | null): Promise<void> {
    return this.#write({ jobs: [job], keys: key === null ? [] : [key] })
  }

  endJob(job: Job, { run, forgotten, pruned }: History): Promise<void> {
    const deletedRuns = forgotten.map((old) => old.job).filter((old) => old !== run?.job)
    return this.#write({ jobs: [job], runs: run === null ? [] : [run], deletedRuns, deletedJobs: pruned })
  }

  deleteKeyOf(job: string): Promise<void> {
    return this.#alone(sql`DELETE FROM controller_keys WHERE job = ${job} AND ${isLeader}`)
  }

  putNode(node: NodeRecord): Promise<void> {
    return this.#alone(putNode(node))
  }

  putDraining(node: NodeRecord, jobs: readonly Job[]): Promise<void> {
    return this.#alone(putNode(node), this.#putJobs(jobs))
  }

  deleteNode(id: string): Promise<void> {
    return this.#alone(sql`DELETE FROM controller_nodes WHERE id = ${id} AND ${isLeader}`)
  }

  putApiKey(key: KeyRecord): Promise<void> {
    return this.#alone(putDocuments(sql`controller_api_keys`, sql`name`, [[key.name, key]]))
  }

  deleteApiKey(name: string): Promise<void> {
    return this.#alone(sql`DELETE FROM controller_api_keys WHERE name = ${name} AND ${isLeader}`)
  }

  /** Releases the lead, so that a standby takes over at once. */
  async close(): Promise<void> {
    await this.#lead.release()
  }

  /** The last use is stored by the clock of the database: the next leader may be on a machine with another clock, and a lease must not lapse for that. */
  #putJobs(jobs: readonly Job[]): Change {
    const aheadMs = this.#lead.databaseAheadSeconds * 1000
    return putDocuments(
      sql`controller_jobs`,
      sql`id`,
      jobs.map((job) => [job.id, { ...job, usedAtMs: job.usedAtMs + aheadMs }]),
    )
  }

  async #loadJobs(stored: Promise<Job[]>): Promise<Job[]> {
    const aheadMs = this.#lead.databaseAheadSeconds * 1000
    return (await stored).map((job) => ({ ...job, usedAtMs: job.usedAtMs - aheadMs }))
  }

  #alone(...changes: readonly Change[]): Promise<void> {
    return this.#write({ alone: changes })
  }

  #write(writes: Writes): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes, resolve, reject })
      if (!this.#isWriting) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isWriting = true
    for (let group = this.#nextGroup(); group.length > 0; group = this.#nextGroup()) {
      try {
        await this.#lead.write(this.#changesOf(group.map(({ writes }) => writes)))
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const behind of this.#waiting.splice(0).reverse()) behind.reject(unavailable(error))
        const translated = this.#translate(error)
        for (const { reject } of group.reverse()) reject(translated)
      }
    }
    this.#isWriting = false
  }

  /** Takes the first of those that wait whose writes can be one statement, which changes a row at most once. */
  #nextGroup(): Waiting[] {
    const rows = new Set<string>()
    let count = 0
    for (const { writes } of this.#waiting) {
      const changed = rowsOf(writes)
      const joins = writes.alone === undefined && !changed.some((row) => rows.has(row))
      if (count > 0 && (!joins || count === CALLS_OF_STATEMENT_MAX)) break
      count++
      if (!joins) break
      for (const row of changed) rows.add(row)
    }
    return this.#waiting.splice(0, count)
  }

  #changesOf(group: readonly Writes[]): Change[] {
    const jobs = group.flatMap((writes) => writes.jobs ?? [])
    const keys = group.flatMap((writes) => writes.keys ?? [])
    const runs = group.flatMap((writes) => writes.runs ?? [])
    const deletedRuns = group.flatMap((writes) => writes.deletedRuns ?? [])
    const deletedJobs = group.flatMap((writes) => writes.deletedJobs ?? [])
    const runDocuments = runs.map((run) => [run.job, run] as const)
    return [
      ...group.flatMap(({ alone = [] }) => alone),
      ...unlessEmpty(jobs, () => this.#putJobs(jobs)),
      ...unlessEmpty(keys, () => putKeys(keys)),
      ...unlessEmpty(runs, () => putDocuments(sql`controller_runs`, sql`job`, runDocuments)),
      ...unlessEmpty(
        deletedRuns,
        () => sql`DELETE FROM controller_runs WHERE job = ANY (${deletedRuns}::text[]) AND ${isLeader}`,
      ),
      ...unlessEmpty(
        deletedJobs,
        () => sql`DELETE FROM controller_jobs WHERE id = ANY (${deletedJobs}::text[]) AND ${isLeader}`,
      ),
    ]
  }

  /**
   * If the outcome of a write is unknown, memory may differ from the database. So this process gives up the lead, and the next leader loads
   * what was stored.
   */
  #translate(error: unknown): unknown {
    if (!isError(error, 'OUTCOME_UNKNOWN')) return error
    this.#lead.giveUp('the database did not say whether it stored a decision')
    return unavailable(error)
  }
}

function putNode(node: NodeRecord): Change {
  return putDocuments(sql`controller_nodes`, sql`id`, [[node.id, node]])
}

/** Each document with the value of the table's key column. */
function putDocuments(table: Sql, key: Sql, documents: readonly (readonly [string, unknown])[]): Change {
  // One statement changes a row once.
  const last = [...new Map(documents)]
  const texts = last.map(([, document]) => JSON.stringify(document))
  return sql`
    INSERT INTO ${table} (${key}, document)
    SELECT * FROM unnest(${last.map(([value]) => value)}::text[], ${texts}::text[]) WHERE ${isLeader}
    ON CONFLICT (${key}) DO UPDATE SET document = excluded.document`
}

/** A key that is there for the same job stays; the key of another job is refused by the database. */
function putKeys(keys: readonly IdempotencyKey[]): Change {
  const of = (name: keyof IdempotencyKey): string[] => keys.map((key) => key[name])
  return sql`
    INSERT INTO controller_keys
    SELECT new.* FROM unnest(${of('owner')}::text[], ${of('key')}::text[], ${of('bodyHash')}::text[], ${of('job')}::text[])
      AS new (owner, key, body_hash, job)
    WHERE ${isLeader} AND NOT EXISTS (
      SELECT FROM controller_keys AS old WHERE old.owner = new.owner AND old.key = new.key AND old.job = new.job
    )`
}

function unlessEmpty(items: readonly unknown[], change: () => Change): Change[] {
  return items.length === 0 ? [] : [change()]
}

/** The rows that a call changes. */
function rowsOf({ jobs = [], keys = [], runs = [], deletedRuns = [], deletedJobs = [] }: Writes): string[] {
  return [
    ...[...jobs.map(({ id }) => id), ...deletedJobs].map((id) => `job ${id}`),
    ...keys.map(({ owner, key }) => `key ${owner}/${key}`),
    ...[...runs.map(({ job }) => job), ...deletedRuns].map((job) => `run ${job}`),
  ]
}

function unavailable(cause: unknown): MayflyError {
  return new MayflyError('UNAVAILABLE', 'The database does not take the decisions of the controller', {
    cause,
  })
}
