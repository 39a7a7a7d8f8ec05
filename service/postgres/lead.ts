import { MayflyError } from '../../protocol/errors.ts'
import type { PlacedNode } from '../../protocol/model/placement.ts'
import { backoffMs, type Runtime, sleep, type Timer } from '../../protocol/runtime.ts'
import type { Logger } from '../process/log.ts'
import { Database, DatabaseError, type Row } from './database.ts'
import { Electorate } from './electorate.ts'
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
  VOTES_MS,
  VOTES_NEEDED_MS,
} from './limits.ts'
import { type Sql, sql } from './sql.ts'

export interface LeadOptions {
  readonly url: string
  /** `controller` or `metadata/m-1`. */
  readonly role: string
  readonly runtime: Runtime
  readonly log: Logger
  /**
   * How long this process may go on without deciding anything after it could not renew, because the database does not answer, while more than half of
   * the voters confirm that they follow it. A successor knows that it does not once half of them follow the successor, or when that time has passed.
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
  /** Those of the former leader. */
  readonly voters: readonly PlacedNode[]
}

/**
 * The lead of a role: a row of the database with holder, term and expiry by the database's clock. Every write of a leader is one statement
 * that locks this row and requires the leader's term in it. So a statement of an older term has no effect, however late it arrives, whatever
 * the clocks say.
 */
export class Lead {
  readonly term: number
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
  readonly #electorate: Electorate
  /** When the last majority of votes was asked for, monotonic ms. */
  #votedMs = Number.NEGATIVE_INFINITY
  #nominated: readonly PlacedNode[] | null = null
  #formerUntilMs: number
  /** Whether half of the former leader's voters follow this process: from then on the former one gets no majority. */
  #isFollowed: boolean
  /**
   * Fences this process's own statements without an answer: it is raised before the next write, so that a statement still in flight has no
   * effect.
   */
  #attempt = 0
  #isUnsettled = false
  #settling: Promise<void> | null = null
  #renewal: Timer
  #isRenewing = false
  /** Fires when the lead expires; only an answered renewal moves it. */
  #expiry: Timer

  constructor(
    options: LeadOptions,
    { holder, term, sentMs, formerUntilMs, databaseAheadSeconds, voters }: LeadTerms,
  ) {
    const { url, role, runtime } = options
    this.term = term
    this.#holder = holder
    this.databaseAheadSeconds = databaseAheadSeconds
    // Without voters nobody gets a majority.
    this.#isFollowed = voters.length === 0
    this.#formerUntilMs = this.#isFollowed ? Math.min(sentMs, formerUntilMs) : formerUntilMs
    this.#electorate = new Electorate(voters)
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

  /** Until when the former leader may go on, as far as is known by now, monotonic ms. */
  get formerUntilMs(): number {
    return this.#formerUntilMs
  }

  /** Whether this process may act for the role: until its lead has expired by its own clock, and then with a majority of votes. */
  get mayAct(): boolean {
    return !this.#isOver && this.#options.runtime.clock.monotonicMs() < this.#actsUntilMs
  }

  /** Whether the lead has not expired in the database, by the clock of this process. */
  get isRenewed(): boolean {
    const nowMs = this.#options.runtime.clock.monotonicMs()
    return !this.#isOver && nowMs < this.#renewedMs + LEAD_MS - LEAD_MARGIN_MS
  }

  get #actsUntilMs(): number {
    const heldUntilMs = this.#renewedMs + LEAD_MS
    const votedUntilMs = Math.min(this.#votedMs + VOTES_MS, heldUntilMs + this.#options.toleratedMs)
    return Math.max(heldUntilMs, votedUntilMs) - LEAD_MARGIN_MS
  }

  /** The voters to ask now; none while nothing depends on them. */
  get voters(): readonly PlacedNode[] {
    const isOverdue = this.#options.runtime.clock.monotonicMs() > this.#renewedMs + VOTES_NEEDED_MS
    return isOverdue || !this.#isFormerOver ? this.#electorate.voters : []
  }

  /** These voters, asked at `askedMs`, have confirmed that they follow this process, and from then on no process of an older term. */
  voted(followers: ReadonlySet<string>, askedMs: number): void {
    if (this.#isOver) return
    if (!this.#isFollowed && this.#electorate.hasHalf(followers)) {
      this.#isFollowed = true
      const untilMs = this.#options.runtime.clock.monotonicMs() + VOTES_MS
      this.#formerUntilMs = Math.min(this.#formerUntilMs, untilMs)
    }
    if (!this.#electorate.hasMajority(followers)) return
    this.#votedMs = Math.max(this.#votedMs, askedMs)
    this.#expiry.cancel()
    this.#expiry = this.#expire()
  }

  /**
   * The voters from the next renewal on, always in the same order. Those of the former leader stay until it cannot get their majority: whoever leads
   * next has to know them.
   */
  nominate(voters: readonly PlacedNode[]): void {
    this.#nominated = voters
    // The database may be away before the next renewal is due, and nobody votes who is not stored.
    if (this.#isOver || this.#isRenewing || !this.#isFormerOver || !this.#electorate.isNew(voters)) return
    this.#renewal.cancel()
    void this.#renew()
  }

  get hasNominees(): boolean {
    return this.#nominated !== null && this.#nominated.length > 0
  }

  get #isFormerOver(): boolean {
    return this.#isFollowed || this.#hasFormerEnded
  }

  get #hasFormerEnded(): boolean {
    return this.#options.runtime.clock.monotonicMs() >= this.#formerUntilMs
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
          UPDATE leaders SET expires_at = clock_timestamp(), released = ${this.#hasFormerEnded}
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
    this.#isRenewing = true
    const voters = this.#electorate.send(this.#isFormerOver ? this.#nominated : null)
    try {
      const [row] = await this.#renewals.query(sql`
        UPDATE leaders SET expires_at = clock_timestamp() + ${LEAD_MS}::float8 * interval '1 ms',
          voters = coalesce(${voters === null ? null : JSON.stringify(voters)}::jsonb, voters)
        WHERE role = ${role} AND holder = ${this.#holder} AND term = ${this.term} RETURNING term`)
      if (row === undefined) return this.#end('another process leads')
      this.#electorate.confirmSent()
      if (!this.isRenewed) log.info({ role }, 'the lead is renewed again')
      this.#renewedMs = sentMs
      this.#expiry.cancel()
      this.#expiry = this.#expire()
    } catch (error) {
      if (this.#isOver) return
      pauseMs = DATABASE_RETRY_MS_MIN
      log.warn({ role, reason: reasonOf(error) }, 'the lead could not be renewed')
    }
    this.#isRenewing = false
    if (this.#isOver) return
    this.#renewal = runtime.clock.after(pauseMs, () => void this.#renew())
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
