import { randomBytes } from 'node:crypto'

/**
 * The environment of deciding code. Production passes `systemRuntime`; the simulation passes a virtual clock
 * and a seeded generator, so that a seed reproduces a run.
 */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
}

export interface Clock {
  /** Monotonic milliseconds: for durations, leases and deadlines. */
  monotonicMs(): number
  /** Milliseconds since the Unix epoch: for users and other machines. */
  wallMs(): number
  /**
   * Runs `task` once after `ms`, and only once input that was pending then has been read.
   */
  after(ms: number, task: () => void): Timer
  /** Runs `task` after the next poll of the network. If absent, use `after` with 0 ms. */
  soon?(task: () => void): void
}

/** What a clock is built from. */
interface TimeSource extends Pick<Clock, 'monotonicMs' | 'wallMs'> {
  /** Runs `task` once after `ms`, in any order relative to input. */
  timer(ms: number, task: () => void): Timer
  /** Runs `task` once the process has read all pending input. */
  afterInput(task: () => void): void
}

export interface Timer {
  cancel(): void
  /** The timer no longer keeps the process alive. */
  unref(): void
}

export interface Random {
  bytes(count: number): Buffer
  /** Uniform in [0, 1). */
  fraction(): number
}

class SystemTimer implements Timer {
  readonly #timeout: ReturnType<typeof setTimeout>

  constructor(ms: number, task: () => void) {
    this.#timeout = setTimeout(task, ms)
  }

  cancel(): void {
    clearTimeout(this.#timeout)
  }

  unref(): void {
    this.#timeout.unref()
  }
}

/** Waits for pending input once its time has come, see `clockOf`. */
class InputTimer implements Timer {
  readonly #timer: Timer
  #isCancelled = false

  constructor(source: TimeSource, ms: number, task: () => void) {
    this.#timer = source.timer(ms, () => {
      source.afterInput(() => {
        if (!this.#isCancelled) task()
      })
    })
  }

  cancel(): void {
    this.#isCancelled = true
    this.#timer.cancel()
  }

  unref(): void {
    this.#timer.unref()
  }
}

const systemTime: TimeSource = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  timer: (ms, task) => new SystemTimer(ms, task),
  // Immediates run right after the poll phase, which reads every readable socket.
  afterInput: (task) => void setImmediate(task),
}

export const systemRuntime: Runtime = {
  clock: clockOf(systemTime),
  random: { bytes: (count) => randomBytes(count), fraction: () => Math.random() },
}

/**
 * After a suspension of the process (SIGSTOP, a frozen function, a long garbage collection) the event loop
 * may run timers before it reads its sockets, and a deadline would miss an answer that has arrived. So every
 * timer waits for pending input: how late it is does not tell for how long the process was suspended.
 */
export function clockOf(source: TimeSource): Clock {
  return {
    monotonicMs: () => source.monotonicMs(),
    wallMs: () => source.wallMs(),
    soon: (task) => source.afterInput(task),
    after: (ms, task) => new InputTimer(source, ms, task),
  }
}

/** Resolves after `ms`. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal === undefined) return void clock.after(ms, resolve)
    if (signal.aborted) return resolve()
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.after(ms, end)
    signal.addEventListener('abort', end, { once: true })
  })
}

/** The outcome of `work`, or null if it takes longer than `ms`. Unlike a race with `sleep` it leaves no timer behind. */
export function within<Result>(clock: Clock, ms: number, work: Promise<Result>): Promise<Result | null> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve(null))
    work.then(
      (result) => {
        timer.cancel()
        resolve(result)
      },
      (error) => {
        timer.cancel()
        reject(error)
      },
    )
  })
}

/**
 * Yields to the event loop between two steps of work that somebody waits for; a timer would take a
 * millisecond.
 */
export function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => afterPoll(clock, resolve))
}

/** Runs `task` after the next poll of the network. */
export function afterPoll(clock: Clock, task: () => void): void {
  if (clock.soon === undefined) clock.after(0, task)
  else clock.soon(task)
}

/** Runs `task` every `ms` until cancelled, counted from the end of one run to the start of the next. */
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

/** Back-off before attempt `attempt` (from 0): doubled up to `msMax`, with jitter over the upper half. */
export function backoffMs(attempt: number, bounds: { msMin: number; msMax: number }, random: Random): number {
  const ceiling = Math.min(bounds.msMax, bounds.msMin * 2 ** Math.min(attempt, 20))
  return ceiling * (0.5 + random.fraction() / 2)
}
