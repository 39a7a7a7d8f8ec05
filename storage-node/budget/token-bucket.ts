import { CONTENTION_MS } from '../../protocol/limits.ts'
import { CPU_RESERVABLE_SHARE, RATE_BURST_MS, RATE_DEBT_MS_MAX, REQUEST_COST_BYTES } from '../limits.ts'

/** A token bucket with one token per byte. Times are monotonic ms. */
class Bucket {
  bytesPerSecond: number
  #tokens = 0
  #atMs: number

  constructor(bytesPerSecond: number, nowMs: number) {
    this.bytesPerSecond = bytesPerSecond
    this.#atMs = nowMs
  }

  /** May create debt, up to what flows in within `debtMs`; existing debt stays. */
  spend(bytes: number, nowMs: number, debtMs: number): void {
    const tokens = this.#fill(nowMs)
    const least = (-this.bytesPerSecond * debtMs) / 1000
    this.#tokens = Math.min(tokens, Math.max(tokens - bytes, least))
  }

  /** How long until it has a token; 0 if it has one. */
  waitMs(nowMs: number): number {
    const tokens = this.#fill(nowMs)
    if (tokens > 0) return 0
    return this.bytesPerSecond === 0 ? Number.POSITIVE_INFINITY : ((1 - tokens) * 1000) / this.bytesPerSecond
  }

  #fill(nowMs: number): number {
    const came = ((nowMs - this.#atMs) * this.bytesPerSecond) / 1000
    this.#tokens = Math.min(this.#tokens + came, (this.bytesPerSecond * RATE_BURST_MS) / 1000)
    this.#atMs = nowMs
    return this.#tokens
  }
}

/** The guaranteed rate of one job on a node. */
export class JobTokenBucket {
  readonly own: Bucket

  constructor(nowMs: number) {
    this.own = new Bucket(0, nowMs)
  }

  /** Bytes per second. */
  reserve(bytesPerSecond: number): void {
    this.own.bytesPerSecond = bytesPerSecond
  }
}

/**
 * Shares a node's throughput among its jobs, work-conserving: the hierarchical token bucket of Linux (tc-htb,
 * Devera 2002) with one level. Each job's bucket fills at its reserved rate, the node's at its capacity, and
 * traffic is charged to both. A job may continue while either has tokens: its own bucket guarantees the
 * reservation, the node's lends unused capacity. Reservations never exceed the capacity, so borrowers never
 * delay a job within its reservation. While the node's bucket has tokens a job builds up no debt of its own.
 *
 * A job that is alone is never delayed and builds up no debt.
 */
export class TokenBuckets {
  readonly #node: Bucket
  /** The most recently active job. */
  #latest: JobTokenBucket | null = null
  /** Until when it counts as active, and until when any other job does. */
  #latestUntilMs = Number.NEGATIVE_INFINITY
  #othersUntilMs = Number.NEGATIVE_INFINITY

  constructor(bytesPerSecond: number, nowMs: number) {
    this.#node = new Bucket(bytesPerSecond, nowMs)
  }

  /**
   * The cost in bytes of `requests` that moved `bytes` and took `cpuMs` of the event loop. The scarcest of the
   * three counts: a tenth of the node's bytes per second also means a tenth of its requests and CPU time.
   */
  costOf(requests: number, bytes: number, cpuMs: number): number {
    const cpuBytes = (cpuMs * this.#node.bytesPerSecond) / (1000 * CPU_RESERVABLE_SHARE)
    return Math.max(bytes, requests * REQUEST_COST_BYTES, cpuBytes)
  }

  /** Charges a cost to the job and the node. Runs after every read of a connection, so it allocates nothing. */
  spend(job: JobTokenBucket, cost: number, nowMs: number): void {
    const alone = this.#isAlone(job, nowMs)
    const borrows = alone || this.#node.waitMs(nowMs) === 0
    job.own.spend(cost, nowMs, borrows ? 0 : RATE_DEBT_MS_MAX)
    this.#node.spend(cost, nowMs, alone ? 0 : RATE_DEBT_MS_MAX)
    this.#noteActive(job, nowMs)
  }

  /** How long the job has to wait; 0 if it may continue. A waiting job counts as active. */
  waitMs(job: JobTokenBucket, nowMs: number): number {
    if (this.#isAlone(job, nowMs)) return 0
    const waitMs = Math.min(job.own.waitMs(nowMs), this.#node.waitMs(nowMs))
    if (waitMs > 0) this.#noteActive(job, nowMs + waitMs)
    return waitMs
  }

  #noteActive(job: JobTokenBucket, atMs: number): void {
    const untilMs = atMs + CONTENTION_MS
    if (job === this.#latest) this.#latestUntilMs = Math.max(untilMs, this.#latestUntilMs)
    else if (untilMs >= this.#latestUntilMs) {
      this.#othersUntilMs = this.#latestUntilMs
      this.#latest = job
      this.#latestUntilMs = untilMs
    } else this.#othersUntilMs = Math.max(untilMs, this.#othersUntilMs)
  }

  #isAlone(job: JobTokenBucket, nowMs: number): boolean {
    return nowMs >= (job === this.#latest ? this.#othersUntilMs : this.#latestUntilMs)
  }
}
