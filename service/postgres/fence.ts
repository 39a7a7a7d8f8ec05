import { joinSql, Sql, sql } from './sql.ts'

/** The values that the row of a role must have for a statement to take effect. */
export interface Fence {
  readonly role: string
  readonly term: number
  /** Rises within a term, so that a leader's own late statements without an answer have no effect. */
  readonly attempt: number
}

/** One change of a fenced statement: `INSERT`, `UPDATE` or `DELETE`, whose condition contains `isLeader`. */
export type Change = Sql

/** A condition for use in a fenced statement: true while its fence holds. */
export const isLeader: Sql = sql`EXISTS (SELECT FROM leader)`

/**
 * One statement that makes all changes, or none if the row of the role differs from `fence`. It returns one row, whose `led` is 1 or 0. It
 * takes the weakest lock that blocks changes of term and attempt but not renewals. If such a change commits first, PostgreSQL tests the
 * condition again on the row's new version (READ COMMITTED).
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
 * Raises the attempt of a leader. It waits for statements in progress; those that arrive later have no effect. It returns the new `attempt`,
 * or no row if the holder has lost the lead.
 */
export function raised({ role, term }: Omit<Fence, 'attempt'>, holder: string): Sql {
  return sql`
    UPDATE leaders SET attempt = attempt + 1
    WHERE role = ${role} AND holder = ${holder} AND term = ${term} RETURNING attempt`
}
