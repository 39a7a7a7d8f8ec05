import { transferring } from '../decide/departure.ts'

/** Counts the changes of each job that its nodes have yet to confirm, and blocks new ones while the job is marked as transferring. */
export class Gate {
  readonly #underWay = new Map<string, number>()
  readonly #closed = new Map<string, () => void>()

  /** Runs a change. Rejects with `UNAVAILABLE` while the gate of the job is closed. */
  async run<Result>(job: string, change: () => Promise<Result>): Promise<Result> {
    if (this.#closed.has(job)) throw transferring(job)
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

  /** Closes the gate, waits for the changes under way, runs `task`, and opens the gate again. */
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
