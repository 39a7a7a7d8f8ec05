import { CONTENTION_MS, TURN_MS, TURNS_ALONE_MS, TURNS_DEBT_MS_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'

/** The time that one job has taken of the event loop, and which of its connections wait for more. */
interface Share {
  readonly job: string
  /** In this round; above the quantum it is a debt that the next rounds pay. */
  spentMs: number
  readonly waiting: (() => void)[]
}

/** The planes' own connections have this job: they wait for nobody. */
const CLUSTER = ''

/**
 * Shares the event loop of a server among the jobs of its peers by time: deficit round robin (Shreedhar and Varghese, 1995) with a
 * quantum in milliseconds. A round is what lies between two looks at the network. In each of them a job may take `TURN_MS`; what arrived
 * on its other connections waits for the next round, and a turn that took longer is paid by waiting out as many rounds. The loop
 * never idles while somebody waits, so a job that is alone loses nothing but the look at the network in between.
 *
 * One turn at a time: `begin`, work, `end`.
 */
export class Turns {
  readonly #clock: Clock
  readonly #soon: (task: () => void) => void
  readonly #shares = new Map<string, Share>()
  #isRoundPlanned = false
  #roundBeganMs = 0
  #turn: Share | null = null
  #beganMs = 0
  #limitMs = 0
  /** The two jobs that were here last, and when. */
  #recent = { job: CLUSTER, atMs: Number.NEGATIVE_INFINITY }
  #otherAtMs = Number.NEGATIVE_INFINITY

  /** `soon` runs a task after the next look at the network. */
  constructor(clock: Clock, soon: (task: () => void) => void = setImmediate) {
    this.#clock = clock
    this.#soon = soon
  }

  /** A turn of a job begins. False if its time in this round is used up: the caller then calls `wait`. */
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
    const leftMs = this.#quantumMs(job, nowMs) - share.spentMs
    this.#limitMs = Math.min(TURN_MS, leftMs)
    return leftMs > 0
  }

  /** Whether the turn under way has taken as long as it may. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() - this.#beganMs >= this.#limitMs
  }

  /** The turn is over. Gives how long it took, in milliseconds. */
  end(): number {
    const tookMs = this.#clock.monotonicMs() - this.#beganMs
    const share = this.#turn
    this.#turn = null
    if (share !== null) {
      share.spentMs += tookMs
      if (share.spentMs >= TURN_MS / 2) this.#planRound()
    }
    return tookMs
  }

  /** `resume` is called once, in a later round in which the job may go on; it begins a turn of its own. */
  wait(job: string, resume: () => void): void {
    this.#shareOf(job).waiting.push(resume)
    this.#planRound()
  }

  /** Resolves when the job may go on: for work in steps that nobody's connection asks for. */
  next(job: string): Promise<void> {
    return new Promise((resolve) => this.wait(job, resolve))
  }

  /** Of which something is known. */
  get jobs(): number {
    return this.#shares.size
  }

  #planRound(): void {
    if (this.#isRoundPlanned) return
    this.#isRoundPlanned = true
    this.#soon(() => {
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

  /** As many of those that wait as have time, each once: one that waits again goes to the end of the line. */
  #resume(share: Share, nowMs: number): void {
    const quantumMs = this.#quantumMs(share.job, nowMs)
    for (let left = share.waiting.length; left > 0 && share.spentMs < quantumMs; left--) {
      share.waiting.shift()?.()
    }
  }

  #quantumMs(job: string, nowMs: number): number {
    const otherAtMs = job === this.#recent.job ? this.#otherAtMs : this.#recent.atMs
    return nowMs - otherAtMs > CONTENTION_MS ? TURNS_ALONE_MS : TURN_MS
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
