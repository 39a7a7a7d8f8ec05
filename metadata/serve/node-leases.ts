import { MayflyError } from '../../protocol/errors.ts'
import { HEARTBEAT_MS, LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../protocol/limits.ts'
import { soleTenure, type Tenure } from '../store/placement-store.ts'

/** A longer gap between two checks means that this process or its machine was suspended. */
const CHECK_MS_MAX = 2 * HEARTBEAT_MS

/**
 * The time at which each node was last granted a lease. A node that is silent for longer has stopped serving by its own clock; only then
 * may its slots be assigned to others. Silence counts only while this process could have received heartbeats: not while it was suspended,
 * and after a restart from its start.
 */
export class NodeLeases {
  readonly #grantedMs = new Map<string, number>()
  #checkedMs: number
  /** Time during which this process was suspended; it does not count as silence of nodes. */
  #stalledMs = 0

  readonly #tenure: Pick<Tenure, 'mayAct' | 'formerUntilMs'>

  /** Times are monotonic here and below. */
  constructor(nowMs: number, tenure: Pick<Tenure, 'mayAct' | 'formerUntilMs'> = soleTenure) {
    this.#checkedMs = nowMs
    this.#tenure = tenure
  }

  /** Starts to watch a node that owns slots, if it is not watched yet. */
  watch(node: string, nowMs: number): void {
    if (!this.#grantedMs.has(node)) this.grant(node, nowMs)
  }

  /** Grants a lease that the node has asked for. Throws `UNAVAILABLE` once another process may grant leases for this server. */
  renew(node: string, nowMs: number): void {
    if (!this.#tenure.mayAct)
      throw new MayflyError('UNAVAILABLE', 'Another process may be this metadata server by now')
    this.grant(node, nowMs)
  }

  grant(node: string, nowMs: number): void {
    this.#grantedMs.set(node, nowMs - this.#stalledMs)
  }

  /** Whether the node has asked within two heartbeats. */
  isHeard(node: string, nowMs: number): boolean {
    const grantedMs = this.#grantedMs.get(node) ?? Number.NEGATIVE_INFINITY
    return nowMs - this.#stalledMs - grantedMs <= 2 * HEARTBEAT_MS
  }

  forget(node: string): void {
    this.#grantedMs.delete(node)
  }

  /** Nodes whose lease must have lapsed. To be called every `HEARTBEAT_MS`. */
  silent(nowMs: number): string[] {
    const passedMs = nowMs - this.#checkedMs
    this.#checkedMs = nowMs
    this.#stalledMs += Math.max(0, passedMs - CHECK_MS_MAX)
    return [...this.#grantedMs].flatMap(([node, grantedMs]) =>
      nowMs - this.#stalledMs - Math.max(grantedMs, this.#tenure.formerUntilMs) >
      NODE_LEASE_MS + LEASE_MARGIN_MS
        ? [node]
        : [],
    )
  }
}
