import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { METADATA_CALLS_MAX } from '../limits.ts'

/** A metadata server waits up to `CONTROL_CALL_MS` for the nodes of a job before it answers. */
export const METADATA_CALL_MS = 2 * CONTROL_CALL_MS

/** Calls to one metadata server: a bounded number at a time, first in, first out, each with a deadline. */
export class CallQueue {
  readonly #server: string
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  #underWay = 0

  constructor(server: string, clock: Clock) {
    this.#server = server
    this.#clock = clock
  }

  /** Rejects with `UNAVAILABLE` if the call has not started by `untilMs`, and with `DEADLINE_EXCEEDED` if it takes `METADATA_CALL_MS`. */
  async run<T>(untilMs: number, call: () => Promise<T>): Promise<T> {
    if (this.#underWay >= METADATA_CALLS_MAX) await this.#waitForSlot(untilMs)
    this.#underWay++
    try {
      return await this.#bounded(call)
    } finally {
      this.#underWay--
      const [next] = this.#waiting
      next?.()
    }
  }

  #waitForSlot(untilMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        this.#waiting.delete(go)
        timer.cancel()
        resolve()
      }
      const timer = this.#clock.after(Math.max(0, untilMs - this.#clock.monotonicMs()), () => {
        this.#waiting.delete(go)
        reject(new MayflyError('UNAVAILABLE', `Metadata server ${this.#server} answers none of its calls`))
      })
      this.#waiting.add(go)
    })
  }

  #bounded<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(METADATA_CALL_MS, () =>
        reject(new MayflyError('DEADLINE_EXCEEDED', `Metadata server ${this.#server} does not answer`)),
      )
      call()
        .finally(() => timer.cancel())
        .then(resolve, reject)
    })
  }
}
