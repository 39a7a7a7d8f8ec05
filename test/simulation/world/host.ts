import { type Clock, clockOf, type Runtime, type Timer } from '../../../protocol/runtime.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

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
  #waiting: Waiting[] = []
  #dies: (nothing: null) => void = () => undefined
  readonly #death = new Promise<null>((resolve) => {
    this.#dies = resolve
  })

  constructor(id: string, options: { ip: string; timeline: Timeline; random: SeededRandom }) {
    this.id = id
    this.ip = options.ip
    this.#timeline = options.timeline
    this.#random = options.random
    // The monotonic clocks of machines have no common origin, and wall clocks are slightly wrong.
    const originMs = this.#random.between(0, 1e9)
    const wallMs = WALL_START_MS + this.#random.between(-200, 200)
    this.clock = clockOf({
      monotonicMs: () => this.#timeline.nowMs + originMs,
      wallMs: () => Math.floor(this.#timeline.nowMs + wallMs),
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

  after(ms: number, task: () => void): Timer {
    let cancelled = false
    const timer = this.#timeline.at(this.#timeline.nowMs + Math.max(0, ms), () => {
      this.#run(true, () => {
        if (!cancelled) task()
      })
    })
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
      unref: () => undefined,
    }
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

  /** Runs the queued events one after the other. Node runs timers first, but not always all of them. */
  resume(): void {
    if (this.#pausedSinceMs === null) return
    this.pausedMs += this.#timeline.nowMs - this.#pausedSinceMs
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
