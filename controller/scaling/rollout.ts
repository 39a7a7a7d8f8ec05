import type { NodeLifecycle } from '../nodes/node-lifecycle.ts'
import type { Drains } from './drains.ts'
import type { Reconciler } from './reconciler.ts'

export interface RolloutOptions {
  readonly nodeLifecycle: NodeLifecycle
  readonly drains: Drains
  readonly reconciler: Reconciler
}

/** Replaces nodes that were started from settings that have changed since: one at a time, each by a drain. */
export class Rollout {
  readonly #options: RolloutOptions

  constructor(options: RolloutOptions) {
    this.#options = options
  }

  /** To be called every `HEARTBEAT_MS`. */
  round(): void {
    const { nodeLifecycle, drains, reconciler } = this.#options
    const [next] = nodeLifecycle.outdated()
    if (next === undefined || nodeLifecycle.draining().length > 0 || !reconciler.isIdle) return
    drains.beginEnding(next.record.id)
  }
}
