import { AssertionError } from '../../protocol/assert.ts'
import { asMayflyError, isOwnFault, MayflyError } from '../../protocol/errors.ts'
import { TASK_RETRY_MS_MAX, TASK_RETRY_MS_MIN, TASKS_FAILING_MAX } from '../../protocol/limits.ts'
import type { TaskReport } from '../../protocol/operations/reports.ts'
import { backoffMs, type Runtime, sleep, type Timer } from '../../protocol/runtime.ts'
import type { Logger } from './log.ts'
import { type TaskName, taskTable } from './tasks.ts'

/** The name of a task, and its subject: a job or a node; empty if there is only one. */
export type Task = readonly [name: TaskName, of: string]

interface Count {
  /** Since the process started. */
  failures: number
  reason: string
}

/**
 * Runs background work of a server, which no request waits for. A failed task ends nothing: it is counted,
 * logged when it begins to fail and when it succeeds again, reported to the controller, and repeated with
 * back-off. Errors of the wire, a disk, S3 or a database are data to it, whatever their code. Failed
 * assertions are not, see `mustEndProcess`.
 */
export class Background {
  readonly #runtime: Runtime
  readonly #log: Logger
  readonly #counts = new Map<TaskName, Count>()
  /** Failing subjects, by task name. */
  readonly #failing = new Map<TaskName, Set<string>>()
  #stopped = false

  constructor(options: { runtime: Runtime; log: Logger }) {
    this.#runtime = options.runtime
    this.#log = options.log
  }

  /** Runs a task once. Resolves with whether it succeeded, and never rejects. */
  async attempt(task: Task, work: () => unknown): Promise<boolean> {
    try {
      await work()
    } catch (error) {
      this.failed(task, error)
      return false
    }
    this.succeeded(task)
    return true
  }

  /** Starts no further repetitions. */
  stop(): void {
    this.#stopped = true
  }

  /** As `attempt`, for a task that is never repeated. */
  async once(task: Task, work: () => unknown): Promise<void> {
    await this.attempt(task, work)
    this.#failing.get(task[0])?.delete(task[1])
  }

  /** Repeats a task until it succeeds, or `isWanted` is false. Never rejects. */
  async persist(
    task: Task,
    work: () => Promise<unknown>,
    isWanted: () => boolean = () => true,
  ): Promise<void> {
    const { clock, random } = this.#runtime
    for (let failures = 0; !this.#stopped && isWanted(); failures++) {
      if (await this.attempt(task, work)) return
      await sleep(clock, backoffMs(failures, taskRetry, random))
    }
    this.succeeded(task)
  }

  /**
   * Runs a task every `ms`, less often while it fails. The pause counts from the end of one run to the start
   * of the next.
   */
  every(ms: number, task: Task, work: () => unknown): Pick<Timer, 'cancel'> {
    const { clock, random } = this.#runtime
    let cancelled = false
    let failures = 0
    let timer = clock.after(ms, () => void run())
    const run = async (): Promise<void> => {
      failures = (await this.attempt(task, work)) ? 0 : failures + 1
      if (cancelled || this.#stopped) return
      const pauseMs = failures === 0 ? ms : Math.max(ms, backoffMs(failures - 1, taskRetry, random))
      timer = clock.after(pauseMs, () => void run())
    }
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
    }
  }

  /** Reports a failure of a task with its own schedule. A failed assertion ends the process. */
  failed([name, of]: Task, error: unknown): void {
    if (mustEndProcess(error)) return endProcess(error)
    const { reason } = asMayflyError(error)
    const failing = this.#failingOf(name)
    const count = this.#counts.get(name) ?? { failures: 0, reason }
    this.#counts.set(name, { failures: count.failures + 1, reason })
    if (failing.has(of)) return
    if (failing.size < TASKS_FAILING_MAX) failing.add(of)
    const line = { task: name, ...(of !== '' && { of }) }
    if (isOwnFault(error)) this.#log.error({ ...line, err: error }, taskTable[name])
    else this.#log.warn({ ...line, reason, ...causeOf(error) }, taskTable[name])
  }

  /** Reports that a task with its own schedule succeeded, or is no longer needed. */
  succeeded([name, of]: Task): void {
    if (this.#failing.get(name)?.delete(of) !== true) return
    this.#log.info(
      { task: name, ...(of !== '' && { of }) },
      'a failing task has succeeded, or is no longer needed',
    )
  }

  /** Forgets a subject that is gone. */
  forget(of: string): void {
    for (const failing of this.#failing.values()) failing.delete(of)
  }

  /** Every task that has ever failed. */
  report(): TaskReport[] {
    return [...this.#counts].map(([task, { failures, reason }]) => {
      const failing = this.#failing.get(task)?.size ?? 0
      return { task, failures, failing, reason: failing > 0 ? reason : '' }
    })
  }

  #failingOf(name: TaskName): Set<string> {
    let failing = this.#failing.get(name)
    if (failing === undefined) {
      failing = new Set()
      this.#failing.set(name, failing)
    }
    return failing
  }
}

const taskRetry = { msMin: TASK_RETRY_MS_MIN, msMax: TASK_RETRY_MS_MAX }

/**
 * The events that end a running server process, besides a request to stop. This list is complete:
 * - An assertion about its own state has failed (`assert`): the process can no longer rely on its data, and might return wrong bytes.
 * - Metadata has declared the node dead (`NODE_DEAD`, in `storage-node/main.ts`): other nodes own its slots.
 * A process that cannot start ends as well (`runService`). Every other error affects one request, task, peer or backend.
 */
export function mustEndProcess(error: unknown): boolean {
  return error instanceof AssertionError || (error instanceof MayflyError && mustEndProcess(error.cause))
}

/** Handled by `runService` alone. */
export function endProcess(error: unknown): void {
  void Promise.reject(error)
}

/** Driver messages go to the log only. */
function causeOf(error: unknown): { cause?: string } {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error ? { cause: cause.message } : {}
}
