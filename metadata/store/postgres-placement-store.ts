import { isError, MayflyError } from '../../protocol/errors.ts'
import { DEAD_NODES_RETAINED_MAX } from '../../protocol/limits.ts'
import { type Change, isLeader } from '../../service/postgres/fence.ts'
import type { Lead } from '../../service/postgres/lead.ts'
import type { Schema } from '../../service/postgres/migrations.ts'
import { sql } from '../../service/postgres/sql.ts'
import { decodeRecord, encodeRecord, type JobRecord, type MovedJob } from '../decide/job-record.ts'
import type { PlacementStore } from './placement-store.ts'

/** Tables of all metadata servers of a cluster. The version is also that of the records in them. */
export const metadataSchema: Schema = {
  component: 'metadata',
  steps: [
    [
      sql`CREATE TABLE metadata_servers (server text PRIMARY KEY, address text NOT NULL)`,
      sql`CREATE TABLE metadata_jobs (
        server text NOT NULL, id text NOT NULL, record bytea NOT NULL, PRIMARY KEY (server, id)
      )`,
      sql`CREATE TABLE metadata_moved (
        server text NOT NULL, id text NOT NULL, term int NOT NULL, address text NOT NULL, PRIMARY KEY (server, id)
      )`,
      sql`CREATE TABLE metadata_dead_nodes (
        server text NOT NULL, id text NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (server, id)
      )`,
    ],
  ],
}

/**
 * The decisions of one metadata server in PostgreSQL. A failed write may still take effect, but not after the next write of this server. It
 * was not announced, and the job's next record replaces it.
 */
export class PostgresPlacementStore implements PlacementStore {
  readonly #lead: Lead
  readonly #server: string

  /** The tables have been prepared with `metadataSchema`. */
  constructor(lead: Lead, server: string) {
    this.#lead = lead
    this.#server = server
  }

  /** The term of the lead, which rises with each leader. */
  async nextGeneration(): Promise<number> {
    return this.#lead.term
  }

  async address(): Promise<string | null> {
    const [row] = await this.#lead.read(
      sql`SELECT address FROM metadata_servers WHERE server = ${this.#server}`,
    )
    return row === undefined ? null : String(row.address)
  }

  async saveAddress(address: string): Promise<void> {
    await this.#write([
      sql`
        INSERT INTO metadata_servers SELECT ${this.#server}::text, ${address}::text WHERE ${isLeader}
        ON CONFLICT (server) DO UPDATE SET address = excluded.address`,
    ])
  }

  async jobs(): Promise<JobRecord[]> {
    const rows = await this.#lead.read(
      sql`SELECT record FROM metadata_jobs WHERE server = ${this.#server} ORDER BY id`,
    )
    return rows.map(({ record }) => decodeRecord(record as Buffer))
  }

  async moved(): Promise<MovedJob[]> {
    const select = sql`SELECT id, term, address FROM metadata_moved WHERE server = ${this.#server} ORDER BY id`
    return (await this.#lead.read(select)) as unknown as MovedJob[]
  }

  async save(record: JobRecord): Promise<void> {
    await this.#write([
      sql`
        INSERT INTO metadata_jobs
        SELECT ${this.#server}::text, ${record.id}::text, ${encodeRecord(record)}::bytea WHERE ${isLeader}
        ON CONFLICT (server, id) DO UPDATE SET record = excluded.record`,
      this.#delete('moved', record.id),
    ])
  }

  async saveMoved({ id, term, address }: MovedJob): Promise<void> {
    await this.#write([
      sql`
        INSERT INTO metadata_moved
        SELECT ${this.#server}::text, ${id}::text, ${term}::int, ${address}::text WHERE ${isLeader}
        ON CONFLICT (server, id) DO UPDATE SET term = excluded.term, address = excluded.address`,
      this.#delete('jobs', id),
    ])
  }

  async remove(job: string): Promise<void> {
    await this.#write([this.#delete('jobs', job), this.#delete('moved', job)])
  }

  async deadNodes(): Promise<string[]> {
    const select = sql`SELECT id FROM metadata_dead_nodes WHERE server = ${this.#server} ORDER BY number`
    return (await this.#lead.read(select)).map(({ id }) => String(id))
  }

  async addDeadNodes(nodes: readonly string[]): Promise<void> {
    await this.#write([
      sql`
        INSERT INTO metadata_dead_nodes (server, id)
        SELECT ${this.#server}::text, node FROM unnest(${nodes}::text[]) AS node WHERE ${isLeader}
        ON CONFLICT (server, id) DO NOTHING`,
    ])
    await this.#write([
      sql`
        DELETE FROM metadata_dead_nodes WHERE server = ${this.#server} AND number <= (
          SELECT number FROM metadata_dead_nodes WHERE server = ${this.#server}
          ORDER BY number DESC OFFSET ${DEAD_NODES_RETAINED_MAX} LIMIT 1
        ) AND ${isLeader}`,
    ])
  }

  /** Releases the lead, so that a standby takes over at once. */
  async close(): Promise<void> {
    await this.#lead.release()
  }

  #delete(table: 'jobs' | 'moved', job: string): Change {
    const from = table === 'jobs' ? sql`metadata_jobs` : sql`metadata_moved`
    return sql`DELETE FROM ${from} WHERE server = ${this.#server} AND id = ${job} AND ${isLeader}`
  }

  async #write(changes: readonly Change[]): Promise<void> {
    try {
      await this.#lead.write(changes)
    } catch (cause) {
      if (!isError(cause, 'OUTCOME_UNKNOWN')) throw cause
      throw new MayflyError('UNAVAILABLE', cause.reason, { cause })
    }
  }
}
