import { type Clock, clockOf, type Runtime, type Timer } from '../../../protocol/runtime.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

/** Clocks of real machines differ by less; a lease's margin, a tenth of it, allows for more. */
const DRIFT_MAX = 0.02

/** The day on which every run begins. */
const WALL_START_MS = Date.UTC(2024, 0, 1)

interface Waiting {
  readonly isTimer: boolean
  readonly task: () => void
}

/**
 * One process on a machine of its own. All its events enter through `run`, so that its death stops all of them at once, and a pause (SIGSTOP) holds them back
 * while the clock continues.
 */
export class Host {
  readonly id: string
  /** Its network address; a process that replaces it may have the same. */
  readonly ip: string
  readonly runtime: Runtime
  readonly clock: Clock
  diedMs: number | null = null
  /** Virtual ms for which it has been paused, so that a call's duration can be measured by its own time. */
  pausedMs = 0
  readonly #timeline: Timeline
  readonly #random: SeededRandom
  #pausedSinceMs: number | null = null
  /** The machine is suspended, and its monotonic clock stands still. */
  #isSuspended = false
  /** Virtual ms for which the machine was suspended. */
  #suspendedMs = 0
  /** Since `WALL_START_MS`, by the wall clock, minus virtual time. */
  #wallAheadMs: number
  /** Of the monotonic clock. */
  readonly #rate: number
  readonly #originMs: number
  #waiting: Waiting[] = []
  #dies: (nothing: null) => void = () => undefined
  readonly #death = new Promise<null>((resolve) => {
    this.#dies = resolve
  })

  /** With `drifts`, its monotonic clock is up to `DRIFT_MAX` too fast or too slow. */
  constructor(
    id: string,
    options: { ip: string; timeline: Timeline; random: SeededRandom; drifts?: boolean },
  ) {
    this.id = id
    this.ip = options.ip
    this.#timeline = options.timeline
    this.#random = options.random
    // The monotonic clocks of machines have no common origin, and wall clocks are slightly wrong.
    this.#originMs = this.#random.between(0, 1e9)
    this.#wallAheadMs = this.#random.between(-200, 200)
    this.#rate = options.drifts === true ? 1 + this.#random.fork('drift').between(-DRIFT_MAX, DRIFT_MAX) : 1
    this.clock = clockOf({
      monotonicMs: () => this.#monotonicMs,
      wallMs: () => Math.floor(this.#timeline.nowMs + WALL_START_MS + this.#wallAheadMs),
      timer: (ms, task) => this.after(ms, task),
      // Events that were queued during a pause were scheduled before this one.
      afterInput: (task) => void this.#timeline.at(this.#timeline.nowMs, () => this.#run(true, task)),
    })
    this.runtime = { clock: this.clock, random: options.random.fork('runtime') }
  }

  get alive(): boolean {
    return this.diedMs === null
  }

  get paused(): boolean {
    return this.#pausedSinceMs !== null
  }

  /** By its monotonic clock, which stands still while the machine is suspended. */
  after(ms: number, task: () => void): Timer {
    let cancelled = false
    let timer: Timer
    const wait = (dueMs: number): void => {
      const suspendedMs = this.#suspendedMs
      timer = this.#timeline.at(dueMs, () => {
        this.#run(true, () => {
          if (cancelled) return
          const lateDueMs = dueMs + this.#suspendedMs - suspendedMs
          if (lateDueMs > this.#timeline.nowMs) wait(lateDueMs)
          else task()
        })
      })
    }
    wait(this.#timeline.nowMs + Math.max(0, ms) / this.#rate)
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
      unref: () => undefined,
    }
  }

  /** Somebody sets the wall clock, forwards or backwards. */
  setWall(byMs: number): void {
    this.#wallAheadMs += byMs
  }

  get #monotonicMs(): number {
    return this.#originMs + (this.#timeline.nowMs - this.#suspendedMs) * this.#rate
  }

  /** Events from outside: bytes, connections. */
  run(task: () => void): void {
    this.#run(false, task)
  }

  /** What `doing` of this process resolves with; null where the process dies before, for it then never does. */
  unlessDead<Result>(doing: Promise<Result>): Promise<Result | null> {
    return Promise.race([doing, this.#death])
  }

  crash(): void {
    this.diedMs = this.#timeline.nowMs
    this.#dies(null)
    this.#waiting = []
  }

  pause(): void {
    this.#pausedSinceMs ??= this.#timeline.nowMs
  }

  /** Pauses it with its machine. */
  suspend(): void {
    if (this.paused) return
    this.#isSuspended = true
    this.pause()
  }

  /** Runs the queued events one after the other. Node runs timers first, but not always all of them. */
  resume(): void {
    if (this.#pausedSinceMs === null) return
    this.pausedMs += this.#timeline.nowMs - this.#pausedSinceMs
    if (this.#isSuspended) this.#suspendedMs += this.#timeline.nowMs - this.#pausedSinceMs
    this.#isSuspended = false
    this.#pausedSinceMs = null
    const waiting = this.#waiting
    this.#waiting = []
    const ordered = this.#random.chance(0.5)
      ? [...waiting.filter(({ isTimer }) => isTimer), ...waiting.filter(({ isTimer }) => !isTimer)]
      : waiting
    for (const { isTimer, task } of ordered) {
      this.#timeline.at(this.#timeline.nowMs, () => this.#run(isTimer, task))
    }
  }

  #run(isTimer: boolean, task: () => void): void {
    if (!this.alive) return
    if (this.paused) this.#waiting.push({ isTimer, task })
    else task()
  }
}
