import { MayflyError } from '../../protocol/errors.ts'
import { backoffMs, type Runtime, sleep, type Timer } from '../../protocol/runtime.ts'
import type { Logger } from '../process/log.ts'
import { Database, DatabaseError, type Row } from './database.ts'
import { type Change, fenced, raised } from './fence.ts'
import {
  DATABASE_LOAD_MS_MAX,
  DATABASE_RETRY_MS_MAX,
  DATABASE_RETRY_MS_MIN,
  DATABASE_WRITE_MS_MAX,
  LEAD_MARGIN_MS,
  LEAD_MS,
  LEAD_RENEW_MS,
  LEAD_RENEWAL_MS_MAX,
} from './limits.ts'
import { type Sql, sql } from './sql.ts'

export interface LeadOptions {
  readonly url: string
  /** `controller` or `metadata/m-1`. */
  readonly role: string
  readonly runtime: Runtime
  readonly log: Logger
  /**
   * How long this process may go on without deciding anything after it could not renew, because the database does not answer. A successor
   * learns until when that may be (`LeadTerms.formerUntilMs`).
   */
  readonly toleratedMs: number
}

/** The lead as it was granted. */
export interface LeadTerms {
  /** Identifies this process. */
  readonly holder: string
  /** Rises by one with each new leader of the role. */
  readonly term: number
  /** When the request for the lead was sent, monotonic ms. */
  readonly sentMs: number
  /** Until when the former leader may continue without making decisions, monotonic ms; in the past if it has released the lead. */
  readonly formerUntilMs: number
  /** How far the clock of the database is ahead of the wall clock of this process. */
  readonly databaseAheadSeconds: number
}

/**
 * The lead of a role: a row of the database with holder, term and expiry by the database's clock. Every write of a leader is one statement
 * that locks this row and requires the leader's term in it. So a statement of an older term has no effect, however late it arrives, whatever
 * the clocks say.
 */
export class Lead {
  readonly term: number
  /** As in `LeadTerms`. */
  readonly formerUntilMs: number
  /** As in `LeadTerms`. */
  readonly databaseAheadSeconds: number
  /** Resolves with why this process leads no more, unless it has released the lead. */
  readonly lost: Promise<string>
  readonly #options: LeadOptions
  readonly #holder: string
  readonly #database: Database
  /** Separate, so that renewals do not queue behind decisions. */
  readonly #renewals: Database
  #lose: (reason: string) => void = () => undefined
  #isOver = false
  /** When the last answered renewal was sent, monotonic ms. */
  #renewedMs: number
  /**
   * Fences this process's own statements without an answer: it is raised before the next write, so that a statement still in flight has no
   * effect.
   */
  #attempt = 0
  #isUnsettled = false
  #settling: Promise<void> | null = null
  #renewal: Timer
  /** Fires when the lead expires; only an answered renewal moves it. */
  #expiry: Timer

  constructor(
    options: LeadOptions,
    { holder, term, sentMs, formerUntilMs, databaseAheadSeconds }: LeadTerms,
  ) {
    const { url, role, runtime } = options
    this.term = term
    this.#holder = holder
    this.formerUntilMs = formerUntilMs
    this.databaseAheadSeconds = databaseAheadSeconds
    this.#options = options
    this.#renewedMs = sentMs
    this.#database = new Database({ url, name: `mayfly ${role}` })
    this.#renewals = new Database({
      url,
      name: `mayfly lead of ${role}`,
      connectionsMax: 1,
      statementMsMax: LEAD_RENEWAL_MS_MAX,
    })
    this.lost = new Promise((resolve) => {
      this.#lose = resolve
    })
    this.#renewal = runtime.clock.after(LEAD_RENEW_MS, () => void this.#renew())
    this.#expiry = this.#expire()
  }

  /** Whether this process may act for the role: until its lead has expired by its own clock, and then for `toleratedMs`. */
  get mayAct(): boolean {
    return !this.#isOver && this.#options.runtime.clock.monotonicMs() < this.#actsUntilMs
  }

  /** Whether the lead has not expired in the database, by the clock of this process. */
  get isRenewed(): boolean {
    const nowMs = this.#options.runtime.clock.monotonicMs()
    return !this.#isOver && nowMs < this.#renewedMs + LEAD_MS - LEAD_MARGIN_MS
  }

  get #actsUntilMs(): number {
    return this.#renewedMs + LEAD_MS + this.#options.toleratedMs - LEAD_MARGIN_MS
  }

  /**
   * Makes all changes or none, in one statement, and repeats it while the database does not answer, for up to `DATABASE_WRITE_MS_MAX`. Rejects
   * with `UNAVAILABLE` if nothing was changed and nothing will be, and with `OUTCOME_UNKNOWN` if that is not known; the outcome is then
   * determined before the next write. The changes must be idempotent.
   */
  async write(changes: readonly Change[]): Promise<void> {
    const { clock } = this.#options.runtime
    const deadlineMs = clock.monotonicMs() + DATABASE_WRITE_MS_MAX
    let mayBeDone = false
    for (let failures = 0; ; failures++) {
      try {
        if (this.#isUnsettled) await this.#settle()
        if (await this.#tryWrite(changes, (outcome) => (mayBeDone ||= outcome === 'unknown'))) return
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error
        const mayRepeat = error.isTransient && (await this.#pause(failures, deadlineMs))
        if (!mayRepeat) throw this.#failed(error, mayBeDone)
      }
    }
  }

  /** Reads with a deadline that suffices for the whole state of a cluster. Rejects with `UNAVAILABLE`. */
  async read(statement: Sql): Promise<Row[]> {
    const { url, role } = this.#options
    const name = `mayfly ${role}`
    const database = new Database({ url, name, connectionsMax: 1, statementMsMax: DATABASE_LOAD_MS_MAX })
    try {
      return await database.query(statement)
    } catch (error) {
      throw error instanceof DatabaseError ? this.#failed(error, false) : error
    } finally {
      await database.close()
    }
  }

  /** Gives up the lead, because this process's state no longer agrees with the database. */
  giveUp(reason: string): void {
    this.#end(reason)
  }

  /** Lets a standby lead at once, and closes all connections. Never rejects. */
  async release(): Promise<void> {
    const { role, log } = this.#options
    const isHeld = !this.#isOver
    this.#isOver = true
    this.#cancelTimers()
    try {
      if (isHeld)
        await this.#renewals.query(sql`
          UPDATE leaders SET expires_at = clock_timestamp(), released = true
          WHERE role = ${role} AND holder = ${this.#holder} AND term = ${this.term}`)
    } catch (error) {
      log.warn({ role, reason: reasonOf(error) }, 'the lead was not released; it expires')
    }
    await Promise.allSettled([this.#database.close(), this.#renewals.close()])
  }

  /** False, with nothing changed, if the row has another attempt or term. */
  async #tryWrite(
    changes: readonly Change[],
    onFailed: (outcome: 'none' | 'unknown') => void,
  ): Promise<boolean> {
    if (this.#isOver) throw this.#over()
    const { role } = this.#options
    const attempt = this.#attempt
    const statement = fenced({ role, term: this.term, attempt }, changes)
    try {
      const [row] = await this.#database.query(statement)
      // Either a raise of this process took effect and its answer was lost, or another process leads; `#settle` finds out.
      if (row?.led !== 1 && attempt === this.#attempt) this.#isUnsettled = true
      return row?.led === 1
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      onFailed(error.outcome)
      if (error.outcome === 'unknown' && attempt === this.#attempt) this.#isUnsettled = true
      throw error
    }
  }

  /** Concurrent writes share one raise. */
  #settle(): Promise<void> {
    this.#settling ??= this.#raise().finally(() => {
      this.#settling = null
    })
    return this.#settling
  }

  /** Raises the attempt, after statements in progress have finished. Rejects with `UNAVAILABLE` if another process leads. */
  async #raise(): Promise<void> {
    const { role } = this.#options
    const [row] = await this.#database.query(raised({ role, term: this.term }, this.#holder))
    if (row === undefined) {
      this.#end('another process leads')
      throw this.#over()
    }
    this.#attempt = Number(row.attempt)
    this.#isUnsettled = false
  }

  async #renew(): Promise<void> {
    const { role, log, runtime } = this.#options
    const sentMs = runtime.clock.monotonicMs()
    let pauseMs = LEAD_RENEW_MS
    try {
      const [row] = await this.#renewals.query(sql`
        UPDATE leaders SET expires_at = clock_timestamp() + ${LEAD_MS}::float8 * interval '1 ms'
        WHERE role = ${role} AND holder = ${this.#holder} AND term = ${this.term} RETURNING term`)
      if (row === undefined) return this.#end('another process leads')
      if (!this.isRenewed) log.info({ role }, 'the lead is renewed again')
      this.#renewedMs = sentMs
      this.#expiry.cancel()
      this.#expiry = this.#expire()
    } catch (error) {
      if (this.#isOver) return
      pauseMs = DATABASE_RETRY_MS_MIN
      log.warn({ role, reason: reasonOf(error) }, 'the lead could not be renewed')
    }
    if (!this.#isOver) this.#renewal = runtime.clock.after(pauseMs, () => void this.#renew())
  }

  #expire(): Timer {
    const { clock } = this.#options.runtime
    return clock.after(Math.max(0, this.#actsUntilMs - clock.monotonicMs()), () =>
      this.#end('the database did not answer until the lead had expired'),
    )
  }

  #end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelTimers()
    this.#lose(reason)
  }

  #cancelTimers(): void {
    this.#renewal.cancel()
    this.#expiry.cancel()
  }

  /** False if there is no time for another attempt. */
  async #pause(failures: number, deadlineMs: number): Promise<boolean> {
    const { clock, random } = this.#options.runtime
    const bounds = { msMin: DATABASE_RETRY_MS_MIN, msMax: DATABASE_RETRY_MS_MAX }
    const pauseMs = backoffMs(failures, bounds, random)
    if (clock.monotonicMs() + pauseMs >= deadlineMs) return false
    await sleep(clock, pauseMs)
    return true
  }

  /** The driver's message goes only to the log. */
  #failed(cause: DatabaseError, mayBeDone: boolean): MayflyError {
    const code = mayBeDone ? 'OUTCOME_UNKNOWN' : 'UNAVAILABLE'
    const isFull = (cause.cause as { code?: unknown } | undefined)?.code === DISK_FULL
    const what = isFull ? 'The disk is full of the database that keeps' : 'The database does not take'
    return new MayflyError(code, `${what} the decisions of ${this.#options.role}`, { cause })
  }

  #over(): MayflyError {
    return new MayflyError('UNAVAILABLE', `This process does not lead as ${this.#options.role} any more`)
  }
}

/** SQLSTATE `disk_full`. */
const DISK_FULL = '53100'

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
