import { type Clock, nextTurn } from '../../protocol/runtime.ts'

/**
 * Bounds how many short tasks a job runs in one step of the event loop. `take` counts one; what finds none left
 * goes on in a later step, in order. The count begins anew after a step that left less than half: to do so after
 * every step would cost a poll of the network for each.
 */
export class StepBudget {
  readonly #clock: Clock
  readonly #tasksMax: number
  #left: number
  #isRenewed = true
  #later: (() => void)[] = []

  constructor(clock: Clock, tasksMax: number) {
    this.#clock = clock
    this.#tasksMax = tasksMax
    this.#left = tasksMax
  }

  /** Whether one more task may run in this step. */
  take(): boolean {
    if (this.#left === 0) return false
    this.#left--
    if (this.#isRenewed && this.#left < this.#tasksMax / 2) {
      this.#isRenewed = false
      void nextTurn(this.#clock).then(() => this.#renew())
    }
    return true
  }

  /** Runs `task` in a later step in which one may run. It calls `take` itself. */
  later(task: () => void): void {
    this.#later.push(task)
  }

  #renew(): void {
    this.#isRenewed = true
    this.#left = this.#tasksMax
    const tasks = this.#later
    this.#later = []
    let next = 0
    while (next < tasks.length && this.#left > 0) tasks[next++]?.()
    this.#later = tasks.slice(next).concat(this.#later)
  }
}
