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
 * One process on a machine of its own. What it does comes in through `run`, so that its death stops all of it at
 * once and a pause (SIGSTOP) holds it back while the clock goes on.
 */
export class Host {
  readonly id: string
  /** Where the network finds it; a process that is started in its place may have the same. */
  readonly ip: string
  readonly runtime: Runtime
  readonly clock: Clock
  diedMs: number | null = null
  /** Virtual ms that it has been paused for, so that a call's time can be judged by its own. */
  pausedMs = 0
  readonly #timeline: Timeline
  readonly #random: SeededRandom
  #pausedSinceMs: number | null = null
  #waiting: Waiting[] = []

  constructor(id: string, options: { ip: string; timeline: Timeline; random: SeededRandom }) {
    this.id = id
    this.ip = options.ip
    this.#timeline = options.timeline
    this.#random = options.random
    // Monotonic clocks have nothing in common between machines, and wall clocks are a little off.
    const originMs = this.#random.between(0, 1e9)
    const wallMs = WALL_START_MS + this.#random.between(-200, 200)
    this.clock = clockOf({
      monotonicMs: () => this.#timeline.nowMs + originMs,
      wallMs: () => Math.floor(this.#timeline.nowMs + wallMs),
      timer: (ms, task) => this.after(ms, task),
      // What piled up during a pause was put there before this.
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

  /** What comes from outside: bytes, connections. */
  run(task: () => void): void {
    this.#run(false, task)
  }

  crash(): void {
    this.diedMs = this.#timeline.nowMs
    this.#waiting = []
  }

  pause(): void {
    this.#pausedSinceMs ??= this.#timeline.nowMs
  }

  /** What has piled up happens now, one after the other; Node looks at its timers first, but not always all. */
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
