import type { TaskReport } from '../../protocol/operations/reports.ts'
import type { Events } from './events.ts'

/** One kind of background task of one process. */
interface Known extends TaskReport {
  readonly process: string
}

/** Background failures that the cluster's processes report: one event when a failure begins and one when it ends. */
export class TaskFailures {
  readonly #events: Events
  readonly #known = new Map<string, Map<string, Known>>()

  constructor(events: Events) {
    this.#events = events
  }

  onReport(process: string, tasks: readonly TaskReport[]): void {
    const known = this.#known.get(process) ?? new Map<string, Known>()
    for (const report of tasks) {
      const { task, failing, reason } = report
      const before = known.get(task)?.failing ?? 0
      if (before === 0 && failing > 0) this.#events.emit('task.failing', { process, task, failing, reason })
      if (before > 0 && failing === 0) this.#events.emit('task.recovered', { process, task })
      known.set(task, { ...report, process })
    }
    if (known.size > 0) this.#known.set(process, known)
  }

  /** Removes a process that has ended. */
  forget(process: string): void {
    this.#known.delete(process)
  }

  /** Every task that has failed, for every running process. */
  *all(): Generator<Known> {
    for (const tasks of this.#known.values()) yield* tasks.values()
  }
}
