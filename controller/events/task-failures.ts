import type { TaskReport } from '../../protocol/operations/reports.ts'
import type { Events } from './events.ts'

/** One kind of background task of one process. */
interface Known extends TaskReport {
  readonly process: string
}

/** What fails in the background of the cluster's processes, as they report it: an event when it begins and when it is over. */
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

  /** The process is gone. */
  forget(process: string): void {
    this.#known.delete(process)
  }

  /** Every task that has failed, of every process that runs. */
  *all(): Generator<Known> {
    for (const tasks of this.#known.values()) yield* tasks.values()
  }
}
