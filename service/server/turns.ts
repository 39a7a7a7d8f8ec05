import {
  CONTENTION_MS,
  TURN_MS,
  TURNS_ALONE_MS,
  TURNS_DEBT_MS_MAX,
  TURNS_SHARED_MS,
} from '../../protocol/limits.ts'
import { afterPoll, type Clock } from '../../protocol/runtime.ts'

/** The event-loop time used by one job, and its connections that wait for more. */
interface Share {
  readonly job: string
  /** In this round; time above the quantum is a debt that further rounds pay. */
  spentMs: number
  readonly waiting: (() => void)[]
}

/** The planes' own connections have this job and never wait. */
const CLUSTER = ''

/**
 * Shares a server's event loop among jobs by time: deficit round robin (Shreedhar and Varghese, 1995) with a
 * quantum in ms. A round lies between two polls of the network. In each a job may take `TURNS_SHARED_MS`; its
 * further requests wait for the next round, and a longer turn is paid by skipping rounds. The loop never
 * idles while a job waits, so a job that is alone loses only the polls in between.
 *
 * One turn at a time: `begin`, work, `end`.
 */
export class Turns {
  readonly #clock: Clock
  readonly #shares = new Map<string, Share>()
  #isRoundPlanned = false
  #roundBeganMs = 0
  #turn: Share | null = null
  #beganMs = 0
  #limitMs = 0
  /** A new round is planned once the job has spent this much in the present one. */
  #nextRoundMs = 0
  /** The two most recently active jobs, and when. */
  #recent = { job: CLUSTER, atMs: Number.NEGATIVE_INFINITY }
  #otherAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Begins a turn. False if the job's time in this round is used up: the caller then calls `wait`. */
  begin(job: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    this.#beganMs = nowMs
    this.#limitMs = TURN_MS
    this.#turn = null
    if (job === CLUSTER) return true
    this.#note(job, nowMs)
    if (nowMs - this.#roundBeganMs > TURNS_ALONE_MS && !this.#isRoundPlanned) this.#beginRound(nowMs)
    const share = this.#shareOf(job)
    this.#turn = share
    const quantumMs = this.#quantumMs(job, nowMs)
    const leftMs = quantumMs - share.spentMs
    this.#limitMs = Math.min(TURN_MS, leftMs)
    this.#nextRoundMs = Math.min(TURN_MS, quantumMs) / 2
    return leftMs > 0
  }

  /** Whether the current turn has used its time. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() - this.#beganMs >= this.#limitMs
  }

  /** Ends the turn. Returns its duration in ms. */
  end(): number {
    const tookMs = this.#clock.monotonicMs() - this.#beganMs
    const share = this.#turn
    this.#turn = null
    if (share !== null) {
      share.spentMs += tookMs
      if (share.spentMs >= this.#nextRoundMs) this.#planRound()
    }
    return tookMs
  }

  /** `resume` is called once, in a later round in which the job has time; it begins a turn of its own. */
  wait(job: string, resume: () => void): void {
    this.#shareOf(job).waiting.push(resume)
    this.#planRound()
  }

  /** Runs long work of a job: each step, up to the next `yield`, is a turn in a later round. */
  run<Result>(job: string, work: Iterator<void, Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        this.begin(job)
        try {
          const { done, value } = work.next()
          if (done) resolve(value)
          else this.wait(job, step)
        } catch (error) {
          reject(error)
        } finally {
          this.end()
        }
      }
      this.wait(job, step)
    })
  }

  /** Jobs with state. */
  get jobs(): number {
    return this.#shares.size
  }

  #planRound(): void {
    if (this.#isRoundPlanned) return
    this.#isRoundPlanned = true
    afterPoll(this.#clock, () => {
      this.#isRoundPlanned = false
      this.#beginRound(this.#clock.monotonicMs())
    })
  }

  #beginRound(nowMs: number): void {
    this.#roundBeganMs = nowMs
    const shares = [...this.#shares.values()]
    for (const share of shares) {
      const debtMs = share.spentMs - this.#quantumMs(share.job, nowMs)
      share.spentMs = Math.min(Math.max(debtMs, 0), TURNS_DEBT_MS_MAX)
      if (share.spentMs === 0 && share.waiting.length === 0) this.#shares.delete(share.job)
    }
    for (const share of shares) this.#resume(share, nowMs)
    if (shares.some(({ spentMs, waiting }) => spentMs > 0 || waiting.length > 0)) this.#planRound()
  }

  /** Resumes waiting connections FIFO while there is time, each once. */
  #resume(share: Share, nowMs: number): void {
    const quantumMs = this.#quantumMs(share.job, nowMs)
    for (let left = share.waiting.length; left > 0 && share.spentMs < quantumMs; left--) {
      share.waiting.shift()?.()
    }
  }

  #quantumMs(job: string, nowMs: number): number {
    const otherAtMs = job === this.#recent.job ? this.#otherAtMs : this.#recent.atMs
    return nowMs - otherAtMs > CONTENTION_MS ? TURNS_ALONE_MS : TURNS_SHARED_MS
  }

  #note(job: string, nowMs: number): void {
    if (job !== this.#recent.job) {
      if (this.#recent.job !== CLUSTER) this.#otherAtMs = this.#recent.atMs
      this.#recent = { job, atMs: nowMs }
    } else this.#recent.atMs = nowMs
  }

  #shareOf(job: string): Share {
    let share = this.#shares.get(job)
    if (share === undefined) {
      share = { job, spentMs: 0, waiting: [] }
      this.#shares.set(job, share)
    }
    return share
  }
}
