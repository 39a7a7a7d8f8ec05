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

  /** A task that is missing in a report has not failed since its process was started again. */
  onReport(process: string, tasks: readonly TaskReport[]): void {
    const before = this.#known.get(process)
    if (before === undefined && tasks.length === 0) return
    const known = new Map(tasks.map((report) => [report.task, { ...report, process }]))
    for (const [task, { failing, reason }] of known) {
      if (failing > 0 && !isFailing(before?.get(task)))
        this.#events.emit('task.failing', { process, task, failing, reason })
    }
    for (const [task, report] of before ?? []) {
      if (isFailing(report) && !isFailing(known.get(task)))
        this.#events.emit('task.recovered', { process, task })
    }
    this.#known.set(process, known)
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

function isFailing(task: Known | undefined): boolean {
  return task !== undefined && task.failing > 0
}
