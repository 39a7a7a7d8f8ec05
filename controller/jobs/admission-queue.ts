import { MayflyError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Refusal } from './admission.ts'

/** One registration: tries to get its reservation, and says who refuses it. */
export interface Attempt<T> {
  /** Name of the API key. */
  readonly owner: string
  readonly waitMs: number
  readonly signal: AbortSignal
  /** `done` if it was admitted. Must not wait for anything: what it finds free is free at this moment alone. */
  try(): { readonly done: T } | Refusal
}

interface Entry<T> {
  readonly attempt: Attempt<T>
  refusal: Refusal
  settle(outcome: { readonly done: T } | MayflyError): void
}

/**
 * Registrations that wait for room, in the order in which they came. Nobody overtakes one that waits for the cluster:
 * else small jobs, one after another, would keep a large one waiting for ever. One that waits for the limits of its own
 * key holds up that key's later ones alone.
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

  /** Resolves when the attempt has succeeded. Rejects with the last refusal, at once or when it has waited. */
  enter(attempt: Attempt<T>): Promise<T> {
    const first = [...this.#entries].find(
      ({ attempt: { owner }, refusal }) => refusal.by === 'cluster' || owner === attempt.owner,
    )
    const outcome = first === undefined ? attempt.try() : this.#behind(first)
    if ('done' in outcome) return Promise.resolve(outcome.done)
    if (attempt.waitMs <= 0) return Promise.reject(outcome.error)
    return this.#wait(attempt, outcome)
  }

  /** Lets those who wait try again, in order. To be called whenever something has become free. */
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

  /** Nobody waits any longer. */
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
    const { reason } = refusal.error
    const text = `A registration of API key '${attempt.owner}' came first and waits (${this.count} do). ${reason}`
    return { by: refusal.by, error: new MayflyError('RESERVATION_REFUSED', text) }
  }
}
