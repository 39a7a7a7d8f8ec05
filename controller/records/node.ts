import type { Tier } from '../../protocol/operations/data-operations.ts'
import type { NodeReport } from '../../protocol/operations/reports.ts'
import { capacityOfClass, type NodeClass, type ResourceVector } from '../sizing/node-class.ts'

/**
 * - `starting`: requested from the fleet, no report yet.
 * - `active`: has reported; it serves jobs or waits for one.
 * - `draining`: takes no more shares. While it has shares, its slots move to others; then it is stopped.
 * - `lost`: its process exited without being told to.
 */
export const nodeStates = ['starting', 'active', 'draining', 'lost'] as const
type NodeState = (typeof nodeStates)[number]

/** A node as it is stored. */
export interface NodeRecord {
  readonly id: string
  readonly class: string
  readonly state: NodeState
  /** Null until the first report, or if the fleet is not local. */
  readonly pid: number | null
  readonly address: string | null
  /** The tiers of its last report; before that, those that its config promises. */
  readonly serves: readonly Tier[]
  /** Milliseconds since the Unix epoch; the oldest node is filled first. */
  readonly startedAtMs: number
  readonly lostAtMs: number | null
}

/** A node with its volatile state. */
export interface Node {
  readonly record: NodeRecord
  readonly class: NodeClass
  /** Null until it has reported to this controller process. */
  readonly report: NodeReport | null
  /** On the monotonic clock, as is `sinceMs`. */
  readonly reportedMs: number | null
  /** When this controller process first knew it. */
  readonly sinceMs: number
  /** Whether its process ends in any case, so that another node may take its place before. */
  readonly isEnding: boolean
}

/** What a node still holds by its last report; null if it has not reported to this controller process. */
export function loadOf({ report }: Node): { jobs: number; objects: number; usedBytes: number } | null {
  if (report === null) return null
  return {
    jobs: report.jobs.length,
    objects: report.jobs.reduce((sum, { objects }) => sum + objects, 0),
    usedBytes: Object.values(report.tiers).reduce((sum, { usedBytes }) => sum + usedBytes, 0),
  }
}

/** True until the fleet reports the exit of its process. */
export function isAlive({ record }: Node): boolean {
  return record.state !== 'lost'
}

/** True if it may take new shares. */
export function isOpen({ record, isEnding }: Node): boolean {
  return !isEnding && (record.state === 'starting' || record.state === 'active')
}

/** Its capacity: as reported, or before that by its class and the tiers that nodes serve. */
export function capacityOf({ report, class: nodeClass }: Node, served: ReadonlySet<Tier>): ResourceVector {
  const ofClass = capacityOfClass(nodeClass, served)
  if (report === null) return ofClass
  const { ram, ssd } = report.tiers
  return { ...ofClass, ramBytes: ram?.capacityBytes ?? 0, ssdBytes: ssd?.capacityBytes ?? 0 }
}

/** Nodes that may take shares, in fill order: those that serve first, oldest first. */
export function inFillOrder(nodes: Iterable<Node>): Node[] {
  const rank = ({ record }: Node): number => (record.state === 'active' ? 0 : 1)
  return [...nodes]
    .filter(isOpen)
    .sort((a, b) => rank(a) - rank(b) || a.record.startedAtMs - b.record.startedAtMs)
}
