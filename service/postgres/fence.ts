import { joinSql, Sql, sql } from './sql.ts'

/** What the row of a role has to hold for a statement to change anything. */
export interface Fence {
  readonly role: string
  readonly term: number
  /** Counts within a term: it tells a leader's own statements without an answer from those that came after. */
  readonly attempt: number
}

/** One change of a fenced statement: `INSERT`, `UPDATE` or `DELETE`, whose condition contains `isLeader`. */
export type Change = Sql

/** True within a fenced statement while its fence holds. */
export const isLeader: Sql = sql`EXISTS (SELECT FROM leader)`

/**
 * All changes or none, in one statement, and none unless the row of the role is as `fence` says. Its answer is one row, whose `led` is 1 or 0. The lock is
 * the weakest that a change of term or attempt waits for, and renewals do not. If such a change comes first, PostgreSQL tests the condition again
 * on the row's new version (READ COMMITTED).
 */
export function fenced({ role, term, attempt }: Fence, changes: readonly Change[]): Sql {
  const leader = sql`
    leader AS MATERIALIZED (
      SELECT FROM leaders WHERE role = ${role} AND term = ${term} AND attempt = ${attempt} FOR KEY SHARE
    )`
  const named = changes.map((change, index) => new Sql([`, change_${index} AS (`, ')'], [change]))
  return sql`WITH ${leader}${joinSql(named)} SELECT count(*)::int AS led FROM leader`
}

/**
 * Raises the attempt of a leader, after its statements that are being carried out; those that arrive later change nothing. Its answer is the new
 * `attempt`, and no row if the holder leads no more.
 */
export function raised({ role, term }: Omit<Fence, 'attempt'>, holder: string): Sql {
  return sql`
    UPDATE leaders SET attempt = attempt + 1
    WHERE role = ${role} AND holder = ${holder} AND term = ${term} RETURNING attempt`
}
