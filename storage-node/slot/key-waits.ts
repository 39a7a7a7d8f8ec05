import type { MayflyError } from '../../protocol/errors.ts'
import type { StepBudget } from '../budget/step-budget.ts'

/** A get that is parked until its key is put. */
export interface Wait {
  /** Answers the get with the current object under the key. False if there is none and it stays parked. */
  answer(): boolean
  fail(error: MayflyError): void
}

/** Parked gets of one key, in order of arrival. */
export class KeyWaits {
  readonly #waits = new Set<Wait>()
  #failure: MayflyError | null = null
  #isUnderWay = false

  add(wait: Wait): void {
    this.#waits.add(wait)
  }

  /** Returns whether any are left. */
  remove(wait: Wait): boolean {
    this.#waits.delete(wait)
    return this.#waits.size > 0
  }

  /** Why its slot is no longer served here; null while it is. */
  get failure(): MayflyError | null {
    return this.#failure
  }

  /** Answers in order of arrival until one consumes the object, in as many steps as it takes. */
  answer(steps: StepBudget): void {
    if (this.#failure === null) this.#run(steps, (wait) => wait.answer())
  }

  /** Fails all, in as many steps as it takes. None is answered from now on. */
  fail(error: MayflyError, steps: StepBudget): void {
    this.#failure = error
    this.#run(steps, (wait) => {
      wait.fail(error)
      return true
    })
  }

  #run(steps: StepBudget, settle: (wait: Wait) => boolean): void {
    // The step that follows sees what changed since.
    if (this.#isUnderWay) return
    for (const wait of this.#waits) {
      if (!steps.take()) {
        this.#isUnderWay = true
        steps.later(() => {
          this.#isUnderWay = false
          if (this.#failure === null) this.answer(steps)
          else this.fail(this.#failure, steps)
        })
        return
      }
      if (!settle(wait)) return
    }
  }
}
