import { HEARTBEAT_MS } from '../../protocol/limits.ts'
import { NODE_SILENCE_MS_MAX } from '../limits.ts'
import type { Node } from '../records/node.ts'

/** A longer gap between two checks means that this process was suspended. */
const PAUSE_MS_MAX = 3 * HEARTBEAT_MS

/**
 * Finds nodes that have not reported for longer than a lease can last. They serve nothing and occupy their reservations. Only time in which
 * this process ran counts, since a report may wait in a socket.
 */
export class FailureDetector {
  #awakeSinceMs = Number.NEGATIVE_INFINITY
  #lookedMs = Number.NEGATIVE_INFINITY

  /** Checks all nodes; to be called every `HEARTBEAT_MS`. Starting nodes have their own bound. */
  check(nodes: readonly Node[], nowMs: number): { node: string; silentMs: number }[] {
    if (nowMs - this.#lookedMs > PAUSE_MS_MAX) this.#awakeSinceMs = nowMs
    this.#lookedMs = nowMs
    return nodes.flatMap(({ record, reportedMs, sinceMs }) => {
      const silentMs = nowMs - Math.max(reportedMs ?? sinceMs, this.#awakeSinceMs)
      const serves = record.state === 'active' || record.state === 'draining'
      return serves && silentMs > NODE_SILENCE_MS_MAX ? [{ node: record.id, silentMs }] : []
    })
  }
}
