import type { Clock, Timer } from '../../../protocol/runtime.ts'

interface Task {
  readonly atMs: number
  readonly order: number
  run(): void
}

/** A clock that only advances when a test advances it. */
export class VirtualClock implements Clock {
  readonly #tasks = new Set<Task>()
  #nowMs = 0
  #order = 0
  readonly #startMs: number

  constructor(startMs = Date.UTC(2030, 0, 1)) {
    this.#startMs = startMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#startMs + this.#nowMs
  }

  after(ms: number, run: () => void): Timer {
    const task = { atMs: this.#nowMs + ms, order: this.#order++, run }
    this.#tasks.add(task)
    return { cancel: () => void this.#tasks.delete(task), unref: () => undefined }
  }

  /** Number of timers that have neither run nor been cancelled. */
  get pending(): number {
    return this.#tasks.size
  }

  /** Advances by `ms` without running timers, as for a process that was suspended. */
  jump(ms: number): void {
    this.#nowMs += ms
  }

  /** Advances by `ms` and runs due timers in order; the effects of each settle before the next. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      await settle()
      const [next] = [...this.#tasks].sort((a, b) => a.atMs - b.atMs || a.order - b.order)
      if (next === undefined || next.atMs > untilMs) break
      this.#tasks.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = untilMs
    await settle()
  }
}

/** Lets promises that are ready run, and those that they trigger. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
