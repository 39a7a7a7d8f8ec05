import { HEARTBEAT_MS, LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../protocol/limits.ts'

/** More time than this between two checks was a standstill: a process that was stopped, or a machine that slept. */
const CHECK_MS_MAX = 2 * HEARTBEAT_MS

/**
 * When each node was last granted a lease. A node that is silent for longer than that has stopped serving by its own
 * clock, and only then may its slots go to others. Silence is counted in time in which this process could have heard:
 * not while it stood still, and after a restart from the start.
 */
export class NodeLeases {
  readonly #grantedMs = new Map<string, number>()
  #checkedMs: number
  /** Time that this process slept through; it is no silence of anyone's. */
  #sleptMs = 0

  /** `nowMs` is monotonic here and below. */
  constructor(nowMs: number) {
    this.#checkedMs = nowMs
  }

  /** A node that has slots is watched from now on, if it is not already. */
  watch(node: string, nowMs: number): void {
    if (!this.#grantedMs.has(node)) this.grant(node, nowMs)
  }

  grant(node: string, nowMs: number): void {
    this.#grantedMs.set(node, nowMs - this.#sleptMs)
  }

  forget(node: string): void {
    this.#grantedMs.delete(node)
  }

  /** Nodes whose lease must have lapsed. Has to be asked for every `HEARTBEAT_MS`. */
  silent(nowMs: number): string[] {
    const passedMs = nowMs - this.#checkedMs
    this.#checkedMs = nowMs
    this.#sleptMs += Math.max(0, passedMs - CHECK_MS_MAX)
    return [...this.#grantedMs].flatMap(([node, grantedMs]) =>
      nowMs - this.#sleptMs - grantedMs > NODE_LEASE_MS + LEASE_MARGIN_MS ? [node] : [],
    )
  }
}
