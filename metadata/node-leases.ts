import { HEARTBEAT_MS, LEASE_MARGIN_MS, NODE_LEASE_MS } from '../protocol/limits.ts'

/** A check that comes this late tells of a process that was stopped, or a machine that slept. */
const STANDSTILL_MS = 3 * HEARTBEAT_MS

/**
 * When each node was last granted a lease. A node that is silent for longer than that has stopped serving by its own
 * clock, and only then may its slots go to others. All times are monotonic ms of this process: after a restart every
 * node has a whole lease before it counts as silent.
 */
export class NodeLeases {
  readonly #grantedMs = new Map<string, number>()
  #checkedMs: number | null = null

  /** A node that has slots is watched from now on, if it is not already. */
  watch(node: string, nowMs: number): void {
    if (!this.#grantedMs.has(node)) this.#grantedMs.set(node, nowMs)
  }

  grant(node: string, nowMs: number): void {
    this.#grantedMs.set(node, nowMs)
  }

  forget(node: string): void {
    this.#grantedMs.delete(node)
  }

  /**
   * Nodes whose lease must have lapsed; asked for every `HEARTBEAT_MS`. If this process stood still since it was last
   * asked, it does not know who was silent and who was not heard: every node gets a whole lease, as after a restart.
   */
  silent(nowMs: number): string[] {
    const stoodStill = this.#checkedMs !== null && nowMs - this.#checkedMs > STANDSTILL_MS
    this.#checkedMs = nowMs
    if (stoodStill) for (const node of this.#grantedMs.keys()) this.#grantedMs.set(node, nowMs)
    return [...this.#grantedMs].flatMap(([node, grantedMs]) =>
      nowMs - grantedMs > NODE_LEASE_MS + LEASE_MARGIN_MS ? [node] : [],
    )
  }
}
