import {
  CONTENTION_MS,
  CPU_RESERVABLE_SHARE,
  RATE_BURST_MS,
  RATE_DEBT_MS_MAX,
  REQUEST_COST_BYTES,
} from '../../protocol/limits.ts'

/** Tokens that come in at a rate, a token for each byte. Times are monotonic milliseconds. */
class Bucket {
  bytesPerSecond: number
  #tokens = 0
  #atMs: number

  constructor(bytesPerSecond: number, nowMs: number) {
    this.bytesPerSecond = bytesPerSecond
    this.#atMs = nowMs
  }

  /** May leave a debt, but for no more than what comes in within `debtMs`; one that is there stays. */
  spend(bytes: number, { nowMs, debtMs }: { nowMs: number; debtMs: number }): void {
    const tokens = this.#fill(nowMs)
    const least = (-this.bytesPerSecond * debtMs) / 1000
    this.#tokens = Math.min(tokens, Math.max(tokens - bytes, least))
  }

  /** How long until something is in it; 0 if something is. */
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

/** What one job may move on a node for sure. */
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
 * Shares a node's throughput among its jobs, work-conserving: the hierarchical token bucket of Linux (tc-htb, Devera
 * 2002) with one level. Every job has a bucket that fills at what it reserved, the node one that fills at its capacity,
 * and what a job moves is taken from both. A job may go on while either has something in it: by its own it always gets
 * what it reserved, by the node's it borrows what others leave. The reservations of a node are no more than its
 * capacity, so that who moves no more than it reserved is never held up by those who borrow. While the node's bucket
 * has something a job makes no debt of its own: what it was given while others were idle is not held against it.
 *
 * A job that is alone is not held up at all, and owes nothing: nobody is there to be protected.
 */
export class TokenBuckets {
  readonly #node: Bucket
  /** Who is there for longest, and until when any other is. */
  #latest: { readonly job: JobTokenBucket | null; readonly untilMs: number } = {
    job: null,
    untilMs: Number.NEGATIVE_INFINITY,
  }
  #othersUntilMs = Number.NEGATIVE_INFINITY

  constructor(bytesPerSecond: number, nowMs: number) {
    this.#node = new Bucket(bytesPerSecond, nowMs)
  }

  /**
   * A job has had `requests` carried out, which moved `bytes` and took `cpuMs` of the event loop. What counts is the scarcest of the
   * three: a job that reserved a tenth of the node's bytes per second has a tenth of its requests and of its CPU time, too.
   */
  spend(
    job: JobTokenBucket,
    { requests, bytes, cpuMs }: { requests: number; bytes: number; cpuMs: number },
    nowMs: number,
  ): void {
    const cpuBytes = (cpuMs * this.#node.bytesPerSecond) / (1000 * CPU_RESERVABLE_SHARE)
    const cost = Math.max(bytes, requests * REQUEST_COST_BYTES, cpuBytes)
    const alone = this.#isAlone(job, nowMs)
    const borrows = alone || this.#node.waitMs(nowMs) === 0
    job.own.spend(cost, { nowMs, debtMs: borrows ? 0 : RATE_DEBT_MS_MAX })
    this.#node.spend(cost, { nowMs, debtMs: alone ? 0 : RATE_DEBT_MS_MAX })
    this.#noteActive(job, nowMs)
  }

  /** How long the job has to wait until it may go on; 0 if it may now. While it waits it is there. */
  waitMs(job: JobTokenBucket, nowMs: number): number {
    if (this.#isAlone(job, nowMs)) return 0
    const waitMs = Math.min(job.own.waitMs(nowMs), this.#node.waitMs(nowMs))
    if (waitMs > 0) this.#noteActive(job, nowMs + waitMs)
    return waitMs
  }

  #noteActive(job: JobTokenBucket, atMs: number): void {
    const untilMs = atMs + CONTENTION_MS
    if (job === this.#latest.job) this.#latest = { job, untilMs: Math.max(untilMs, this.#latest.untilMs) }
    else if (untilMs >= this.#latest.untilMs) {
      this.#othersUntilMs = this.#latest.untilMs
      this.#latest = { job, untilMs }
    } else this.#othersUntilMs = Math.max(untilMs, this.#othersUntilMs)
  }

  #isAlone(job: JobTokenBucket, nowMs: number): boolean {
    return nowMs >= (job === this.#latest.job ? this.#othersUntilMs : this.#latest.untilMs)
  }
}
