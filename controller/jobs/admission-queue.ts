import { MayflyError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Refusal } from './admission.ts'

/** A waiting registration: tries to get its reservation and says who refuses it. */
export interface Attempt<T> {
  /** Name of the API key. */
  readonly owner: string
  readonly waitMs: number
  readonly signal: AbortSignal
  /** `done` if admitted. Must be synchronous: free capacity is only valid at this moment. */
  try(): { readonly done: T } | Refusal
}

interface Entry<T> {
  readonly attempt: Attempt<T>
  refusal: Refusal
  settle(outcome: { readonly done: T } | MayflyError): void
}

/**
 * Registrations that wait for capacity, first in, first out. None overtakes one that waits for the cluster, else a sequence of small jobs
 * could starve a large one. One that waits for the quota of its own key blocks only later registrations of that key.
 */
export class AdmissionQueue<T> {
  readonly #clock: Clock
  readonly #entries = new Set<Entry<T>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#entries.size
  }

  /** Resolves when the attempt succeeds. Rejects with the last refusal, at once or after `waitMs`. */
  enter(attempt: Attempt<T>): Promise<T> {
    const first = [...this.#entries].find(
      ({ attempt: { owner }, refusal }) => refusal.by === 'cluster' || owner === attempt.owner,
    )
    const outcome = first === undefined ? attempt.try() : this.#behind(first)
    if ('done' in outcome) return Promise.resolve(outcome.done)
    if (attempt.waitMs <= 0) return Promise.reject(outcome.error)
    return this.#wait(attempt, outcome)
  }

  /** Retries the waiting registrations in order. To be called whenever capacity is freed. */
  retry(): void {
    const refusedKeys = new Set<string>()
    for (const entry of this.#entries) {
      if (refusedKeys.has(entry.attempt.owner)) continue
      let outcome: { readonly done: T } | Refusal
      try {
        outcome = entry.attempt.try()
      } catch (error) {
        entry.settle(
          error instanceof MayflyError ? error : new MayflyError('INTERNAL', String(error), { cause: error }),
        )
        continue
      }
      if ('done' in outcome) entry.settle(outcome)
      else {
        entry.refusal = outcome
        if (outcome.by === 'cluster') return
        refusedKeys.add(entry.attempt.owner)
      }
    }
  }

  /** Rejects all waiting registrations. */
  close(error: MayflyError): void {
    for (const entry of this.#entries) entry.settle(error)
  }

  #wait(attempt: Attempt<T>, refusal: Refusal): Promise<T> {
    return new Promise((resolve, reject) => {
      const { waitMs, signal } = attempt
      const entry: Entry<T> = {
        attempt,
        refusal,
        settle: (outcome) => {
          if (!this.#entries.delete(entry)) return
          timer.cancel()
          signal.removeEventListener('abort', onAbort)
          if ('done' in outcome) resolve(outcome.done)
          else reject(outcome)
        },
      }
      const onAbort = (): void => {
        entry.settle(new MayflyError('ABORTED', 'The caller of the registration is gone'))
        this.retry()
      }
      const timer: Timer = this.#clock.after(waitMs, () => {
        const { code, reason } = entry.refusal.error
        entry.settle(new MayflyError(code, `After ${waitMs / 1000} s of waiting: ${reason}`))
        this.retry()
      })
      signal.addEventListener('abort', onAbort)
      this.#entries.add(entry)
    })
  }

  #behind({ attempt, refusal }: Entry<T>): Refusal {
    const { code, reason } = refusal.error
    const text = `A registration of API key '${attempt.owner}' came first and waits (${this.count} do). ${reason}`
    return { by: refusal.by, error: new MayflyError(code, text) }
  }
}
