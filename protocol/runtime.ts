import { randomBytes } from 'node:crypto'
import { TIMER_LATE_MS } from './limits.ts'

/**
 * What deciding code may know of the world. Production passes `systemRuntime`; the simulation passes a virtual
 * clock and a seeded generator, so that a run is reproduced from its seed.
 */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
}

export interface Clock {
  /** Milliseconds that only ever grow: for durations, leases and deadlines. */
  monotonicMs(): number
  /** Milliseconds since the epoch: for what users and other machines see. */
  wallMs(): number
  /** Runs `task` once after `ms`; if the process stood still until later, only once it has read what arrived meanwhile. */
  after(ms: number, task: () => void): Timer
  /** Runs `task` after the next look at the network; where it is not there, `after` 0 ms does. */
  soon?(task: () => void): void
}

/** What a clock is made of. */
interface TimeSource extends Pick<Clock, 'monotonicMs' | 'wallMs'> {
  /** Runs `task` once after `ms`, in whatever order timers and input are worked off. */
  timer(ms: number, task: () => void): Timer
  /** Runs `task` once the process has read what has arrived for it so far. */
  afterInput(task: () => void): void
}

export interface Timer {
  cancel(): void
  /** From here on the timer alone does not keep the process alive. */
  unref(): void
}

export interface Random {
  bytes(count: number): Buffer
  /** Uniform in [0, 1). */
  fraction(): number
}

const systemTime: TimeSource = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  timer: (ms, task) => {
    const timer = setTimeout(task, ms)
    return { cancel: () => clearTimeout(timer), unref: () => void timer.unref() }
  },
  // Immediates run right after the poll phase, which reads every socket that has something.
  afterInput: (task) => void setImmediate(task),
}

export const systemRuntime: Runtime = {
  clock: clockOf(systemTime),
  random: { bytes: (count) => randomBytes(count), fraction: () => Math.random() },
}

/**
 * After a standstill of the process (SIGSTOP, a frozen function, a long garbage collection) the event loop may run timers
 * before it reads its sockets. A deadline would then pass over an answer that has arrived, so a timer that is late waits
 * for the input.
 */
export function clockOf(source: TimeSource): Clock {
  return {
    monotonicMs: () => source.monotonicMs(),
    wallMs: () => source.wallMs(),
    soon: (task) => source.afterInput(task),
    after: (ms, task) => {
      const lateMs = source.monotonicMs() + ms + TIMER_LATE_MS
      let isCancelled = false
      const timer = source.timer(ms, () => {
        if (source.monotonicMs() < lateMs) return task()
        source.afterInput(() => {
          if (!isCancelled) task()
        })
      })
      return {
        cancel: () => {
          isCancelled = true
          timer.cancel()
        },
        unref: () => timer.unref(),
      }
    },
  }
}

/** Resolves after `ms`. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve))
}

/** Lets everyone else have a turn: between two steps of work that somebody waits for, where a timer would take a millisecond. */
export function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (clock.soon === undefined) clock.after(0, resolve)
    else clock.soon(resolve)
  })
}

/** Runs `task` every `ms` until cancelled; the pause counts from the end of one run to the start of the next. */
export function repeat(clock: Clock, ms: number, task: () => Promise<void> | void): Timer {
  let cancelled = false
  let unreferenced = false
  let timer = clock.after(ms, run)
  async function run(): Promise<void> {
    await task()
    if (cancelled) return
    timer = clock.after(ms, run)
    if (unreferenced) timer.unref()
  }
  return {
    unref: () => {
      unreferenced = true
      timer.unref()
    },
    cancel: () => {
      cancelled = true
      timer.cancel()
    },
  }
}

/** Pause before attempt `attempt` (from 0): doubled each time up to `msMax`, with full jitter above one half. */
export function backoffMs(attempt: number, bounds: { msMin: number; msMax: number }, random: Random): number {
  const ceiling = Math.min(bounds.msMax, bounds.msMin * 2 ** Math.min(attempt, 20))
  return ceiling * (0.5 + random.fraction() / 2)
}
