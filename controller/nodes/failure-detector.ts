import { HEARTBEAT_MS, NODE_SILENCE_MS_MAX } from '../../protocol/limits.ts'
import type { Node } from '../records/node.ts'

/** Between two looks lies a heartbeat. After a longer pause this process stood still itself. */
const PAUSE_MS_MAX = 3 * HEARTBEAT_MS

/**
 * Which nodes have not reported for longer than their lease can last: they serve nobody any more, and hold what is
 * reserved on them for nothing. Only time in which this process ran counts, as a report may wait in a socket until
 * then.
 */
export class FailureDetector {
  #awakeSinceMs = Number.NEGATIVE_INFINITY
  #lookedMs = Number.NEGATIVE_INFINITY

  /** Looks at all nodes; to be called every `HEARTBEAT_MS`. Nodes that start have a bound of their own. */
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
