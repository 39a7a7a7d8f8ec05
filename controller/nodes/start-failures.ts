import type { Clock } from '../../protocol/runtime.ts'
import { CLASS_AVOIDED_MS } from '../limits.ts'

/** Classes of which a node could lately not be started. Others are preferred, where they serve. */
export class StartFailures {
  readonly #clock: Clock
  /** The last failure of each class. */
  readonly #failures = new Map<string, { readonly atMs: number; readonly reason: string }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  failed(className: string, reason: string): void {
    this.#failures.set(className, { atMs: this.#clock.monotonicMs(), reason })
  }

  /** A node of the class has started. */
  succeeded(className: string): void {
    this.#failures.delete(className)
  }

  isAvoided(className: string): boolean {
    const { atMs = Number.NEGATIVE_INFINITY } = this.#failures.get(className) ?? {}
    return this.#clock.monotonicMs() - atMs < CLASS_AVOIDED_MS
  }

  /** Of the last failure; null if there is none. */
  reasonOf(className: string): string | null {
    return this.#failures.get(className)?.reason ?? null
  }
}
