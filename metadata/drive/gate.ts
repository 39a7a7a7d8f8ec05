import { isHandedOn } from '../decide/departure.ts'

/** Changes under way of each job that have to be told to its nodes; none begins while the job is handed on. */
export class Gate {
  readonly #underWay = new Map<string, number>()
  readonly #closed = new Map<string, () => void>()

  /** Runs a change. Rejects with `UNAVAILABLE` while the job's gate is closed. */
  async run<Result>(job: string, change: () => Promise<Result>): Promise<Result> {
    if (this.#closed.has(job)) throw isHandedOn(job)
    this.#underWay.set(job, (this.#underWay.get(job) ?? 0) + 1)
    try {
      return await change()
    } finally {
      const left = (this.#underWay.get(job) ?? 1) - 1
      if (left > 0) this.#underWay.set(job, left)
      else {
        this.#underWay.delete(job)
        this.#closed.get(job)?.()
      }
    }
  }

  /** Runs `task` when none is under way, and none begins before it is over. */
  async closed(job: string, task: () => Promise<void>): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#closed.set(job, resolve)
      if (!this.#underWay.has(job)) resolve()
    })
    try {
      await task()
    } finally {
      this.#closed.delete(job)
    }
  }
}
