import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import { sleep } from '../../protocol/runtime.ts'
import { Database, DatabaseError } from './database.ts'
import { Lead, type LeadOptions, type LeadTerms } from './lead.ts'
import { LEAD_MS, LEAD_POLL_MS } from './limits.ts'
import { migrate, type Schema } from './migrations.ts'
import { sql } from './sql.ts'

/** `UNIQUE` makes term and attempt part of a key: a change of them waits for `FOR KEY SHARE`, a change of the expiry does not. */
export const leadershipSchema: Schema = {
  component: 'leadership',
  steps: [
    [
      sql`CREATE TABLE leaders (
        role text PRIMARY KEY,
        holder text NOT NULL,
        term int NOT NULL,
        attempt int NOT NULL,
        expires_at timestamptz NOT NULL,
        released boolean NOT NULL,
        UNIQUE (role, term, attempt)
      )`,
    ],
    [sql`ALTER TABLE leaders ADD COLUMN voters jsonb NOT NULL DEFAULT '[]'`],
  ],
}

/**
 * Waits, without a bound, until this process leads: another process may lead, or the database may be unavailable. Rejects with `UNAVAILABLE` if
 * the database refuses this process. `onStandby` is called whenever another process is found to lead.
 */
export async function takeLead(options: LeadOptions, onStandby: () => void = () => undefined): Promise<Lead> {
  const { url, role, runtime, log } = options
  const database = new Database({
    url,
    name: `mayfly standby of ${role}`,
    connectionsMax: 1,
    statementMsMax: 1_000,
  })
  const holder = `${hostname()}/${process.pid}/${randomUUID()}`
  let isPrepared = false
  let isFailing = false
  try {
    for (;;) {
      try {
        if (!isPrepared) await migrate(url, leadershipSchema)
        isPrepared = true
        const terms = await tryLead(database, holder, options)
        if (terms !== null) return new Lead(options, terms)
        isFailing = false
        onStandby()
      } catch (error) {
        if (!isTransient(error)) throw error
        if (!isFailing) log.warn({ role, reason: (error as Error).message }, 'the database does not answer')
        isFailing = true
      }
      await sleep(runtime.clock, LEAD_POLL_MS)
    }
  } finally {
    await database.close()
  }
}

export interface LeadEvents {
  /** This process has lost the lead, and no other has it yet. */
  readonly onLost: (reason: string) => void
  /** Another process was found to lead. */
  readonly onStandby: () => void
}

/** As `takeLead`, and migrates the tables of `schema`. */
export async function openLead(
  options: LeadOptions,
  schema: Schema,
  { onLost, onStandby }: LeadEvents,
): Promise<Lead> {
  const lead = await takeLead(options, onStandby)
  void lead.lost.then(onLost)
  await migrate(options.url, schema)
  return lead
}

/** Takes the lead if no process has it. Only then is the row written, so that a poll does not wait for the leader's writes. */
export async function tryLead(
  database: Database,
  holder: string,
  { role, toleratedMs, runtime }: LeadOptions,
): Promise<LeadTerms | null> {
  const [held] = await database.query(sql`
    SELECT expires_at > clock_timestamp() AS is_held FROM leaders WHERE role = ${role}`)
  if (held?.is_held === true) return null
  const sentMs = runtime.clock.monotonicMs()
  const [row] = await database.query(sql`
    WITH former AS (SELECT expires_at, released FROM leaders WHERE role = ${role})
    INSERT INTO leaders VALUES (
      ${role}, ${holder}, 1, 0, clock_timestamp() + ${LEAD_MS}::float8 * interval '1 ms', false
    )
    ON CONFLICT (role) DO UPDATE SET
      holder = excluded.holder, term = leaders.term + 1, attempt = 0, expires_at = excluded.expires_at,
      released = false
    WHERE leaders.expires_at <= clock_timestamp()
    RETURNING term, voters, extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms, (
      SELECT extract(epoch FROM expires_at - clock_timestamp()) * 1000 FROM former WHERE NOT released
    )::float8 AS former_ms`)
  if (row === undefined) return null
  const former = row.former_ms === null ? Number.NEGATIVE_INFINITY : Number(row.former_ms) + toleratedMs
  return {
    ...{ holder, sentMs },
    term: Number(row.term),
    formerUntilMs: runtime.clock.monotonicMs() + former,
    databaseAheadSeconds: Math.round((Number(row.now_ms) - runtime.clock.wallMs()) / 1000),
    voters: row.voters as PlacedNode[],
  }
}

function isTransient(error: unknown): boolean {
  const cause = error instanceof Error && !(error instanceof DatabaseError) ? error.cause : error
  return cause instanceof DatabaseError && cause.isTransient
}
