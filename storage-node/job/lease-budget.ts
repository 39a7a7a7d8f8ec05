import { MayflyError } from '../../protocol/errors.ts'
import { LEASES_MAX, LEASES_RECOUNT_MS } from '../budget/limits.ts'
import type { Slot } from '../slot/slot.ts'

/**
 * Bounds the leases that a job has on a node: of large puts that were begun, and of readers of large objects.
 * Leases that lapse, or go with their slot, are not given back; so the leases are counted again before one is
 * refused.
 */
export class LeaseBudget {
  #taken = 0
  #fullUntilMs = Number.NEGATIVE_INFINITY

  /** Throws `TOO_MANY_REQUESTS` if the job has too many. */
  take(slots: readonly (Slot | undefined)[], nowMs: number): void {
    if (this.#taken >= LEASES_MAX && nowMs >= this.#fullUntilMs) this.#recount(slots, nowMs)
    if (this.#taken >= LEASES_MAX)
      throw new MayflyError(
        'TOO_MANY_REQUESTS',
        `${LEASES_MAX} large puts and readers of large objects of the job are under way at this node`,
      )
    this.#taken++
  }

  giveBack(): void {
    this.#taken--
  }

  #recount(slots: readonly (Slot | undefined)[], nowMs: number): void {
    this.#taken = 0
    for (const slot of slots) {
      slot?.dropLapsed(nowMs)
      this.#taken += slot?.leases ?? 0
    }
    if (this.#taken >= LEASES_MAX) this.#fullUntilMs = nowMs + LEASES_RECOUNT_MS
  }
}
