import type { MayflyError } from '../../protocol/errors.ts'
import type { StepBudget } from '../budget/step-budget.ts'
import type { PlainRead } from '../memory/plain-record.ts'

/** A get that is parked until its key is put. */
export interface Wait {
  /** Its neighbours among the waits of its key. */
  before: Wait | null
  after: Wait | null
  /** Answers the get with the current object under the key, and removes it from the waits. False if there is no object: it stays parked. */
  answer(): boolean
  /** As `answer`, with a value that is not stored. False if the value has to be stored first. */
  deliver(value: PlainRead): boolean
  /** Rejects the get, and removes it from the waits. */
  fail(error: unknown): void
}

/** Parked gets of one key, in order of arrival: a linked list, so that one of many leaves at no cost and a single one needs no table. */
export class KeyWaits {
  #first: Wait | null = null
  #last: Wait | null = null
  #failure: MayflyError | null = null
  #isUnderWay = false

  get isEmpty(): boolean {
    return this.#first === null
  }

  add(wait: Wait): void {
    wait.before = this.#last
    if (this.#last === null) this.#first = wait
    else this.#last.after = wait
    this.#last = wait
  }

  /** Removes a wait that was added. */
  remove(wait: Wait): void {
    const { before, after } = wait
    if (before === null) this.#first = after
    else before.after = after
    if (after === null) this.#last = before
    else after.before = before
  }

  /** Why its slot is no longer served here; null while it is. */
  get failure(): MayflyError | null {
    return this.#failure
  }

  /** Answers in order of arrival until one consumes the object, in as many steps as it takes. */
  answer(steps: StepBudget): void {
    if (this.#failure === null) this.#run(steps, (wait) => wait.answer())
  }

  /** Delivers a value to the wait, if it is the only one and consumes the value: then nothing has to be stored. */
  deliver(value: PlainRead, steps: StepBudget): boolean {
    const wait = this.#first
    if (wait === null || wait.after !== null || this.#isUnderWay || this.#failure !== null) return false
    return steps.take() && wait.deliver(value)
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
    for (let wait = this.#first; wait !== null; wait = this.#first) {
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
