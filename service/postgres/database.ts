import pg from 'pg'
import {
  DATABASE_CONNECT_MS_MAX,
  DATABASE_CONNECTIONS_MAX,
  DATABASE_STATEMENT_MS_MAX,
  DATABASE_WAITING_MAX,
} from './limits.ts'
import type { Sql } from './sql.ts'

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string
  /** The `application_name` that `pg_stat_activity` shows. */
  readonly name: string
  readonly connectionsMax?: number
  readonly statementMsMax?: number
}

export type Row = Readonly<Record<string, unknown>>

/** The failure of a statement, and whether it may have changed anything. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  /** `none`: it changed nothing. `unknown`: it may have taken effect, or may do so later. */
  readonly outcome: 'none' | 'unknown'
  /** Whether the same statement may succeed shortly. */
  readonly isTransient: boolean

  constructor(message: string, of: { outcome: 'none' | 'unknown'; isTransient: boolean; cause: unknown }) {
    super(message, { cause: of.cause })
    this.outcome = of.outcome
    this.isTransient = of.isTransient
  }
}

/**
 * SQLSTATEs of transient failures: serialization failures and deadlocks (40), too many connections (53300), a server that starts or stops
 * (57P), a server that became a replica (25006), lost connections (08), a lock timeout (55P03).
 */
const TRANSIENT = /^(40|53300|57P|25006|08|55P03)/

/** A pool of connections to one PostgreSQL. The host name is resolved again for every connection. */
export class Database {
  readonly #pool: pg.Pool

  constructor({ url, name, connectionsMax, statementMsMax = DATABASE_STATEMENT_MS_MAX }: DatabaseOptions) {
    this.#pool = new pg.Pool({
      connectionString: url,
      application_name: name,
      max: connectionsMax ?? DATABASE_CONNECTIONS_MAX,
      connectionTimeoutMillis: DATABASE_CONNECT_MS_MAX,
      statement_timeout: statementMsMax,
      // The server's own timeout fires first, unless the connection is dead.
      query_timeout: statementMsMax + 500,
      keepAlive: true,
    })
    // An idle connection broke. The next statement opens another one.
    this.#pool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined))
  }

  /** Runs one statement, which is a transaction by itself. Rejects with a `DatabaseError`. */
  async query(statement: Sql): Promise<Row[]> {
    return await this.#use((client) => run(client, statement.render()))
  }

  /** Runs several statements in one transaction. Rejects as `query`, and with the error of `work`. */
  async transaction(work: (query: (statement: Sql) => Promise<Row[]>) => Promise<void>): Promise<void> {
    await this.#use(async (client) => {
      await run(client, { text: 'BEGIN' })
      try {
        await work((statement) => run(client, statement.render()))
        await run(client, { text: 'COMMIT' })
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined)
        throw error
      }
    })
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #use<Result>(work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
    if (this.#pool.waitingCount >= DATABASE_WAITING_MAX) {
      const message = `More than ${DATABASE_WAITING_MAX} statements wait for the database`
      throw new DatabaseError(message, { outcome: 'none', isTransient: false, cause: undefined })
    }
    const client = await this.#connect()
    let failure: unknown = null
    try {
      return await work(client)
    } catch (error) {
      failure = error
      throw error
    } finally {
      // If a statement timed out, the connection is closed: the server may still carry it out, and its late answer would be taken for that of the
      // next statement.
      client.release(failure !== null && !(failure instanceof DatabaseError && failure.outcome === 'none'))
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (cause) {
      const isTransient = !(cause instanceof pg.DatabaseError) || TRANSIENT.test(cause.code ?? '')
      throw new DatabaseError(messageOf(cause), { outcome: 'none', isTransient, cause })
    }
  }
}

async function run(client: pg.PoolClient, statement: pg.QueryConfig): Promise<Row[]> {
  try {
    return (await client.query<Row>(statement)).rows
  } catch (cause) {
    throw failureOf(cause)
  }
}

/** SQLSTATEs that end the session, at any point of a statement: a server that stops (57P), lost connections (08), its own faults (XX). */
const ENDS_SESSION = /^(57P|08|XX)/

/** Classifies the error of a statement. An error that the server answered means that nothing was changed, unless it ended the session. */
function failureOf(cause: unknown): DatabaseError {
  const isAnswer = cause instanceof pg.DatabaseError && !ENDS_SESSION.test(cause.code ?? 'XX')
  const answered = isAnswer ? cause : null
  if (answered === null)
    return new DatabaseError(messageOf(cause), { outcome: 'unknown', isTransient: true, cause })
  const isTransient = TRANSIENT.test(answered.code ?? '')
  return new DatabaseError(messageOf(cause), { outcome: 'none', isTransient, cause })
}

function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join(', ')
  return cause instanceof Error ? cause.message : String(cause)
}
