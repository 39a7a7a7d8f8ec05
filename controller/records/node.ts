import type { Tier } from '../../protocol/operations/data-operations.ts'
import type { NodeReport } from '../../protocol/operations/reports.ts'
import { capacityOfClass, type NodeClass, type ResourceVector } from '../sizing/node-class.ts'

/**
 * - `starting`: asked of the fleet; it has not reported yet.
 * - `active`: it reported, and carries jobs or waits for one.
 * - `draining`: it takes no more shares. While some are reserved on it, its slots move to others; then it is told to
 *   stop.
 * - `lost`: the fleet saw its process exit, and nobody had asked it to.
 */
export const nodeStates = ['starting', 'active', 'draining', 'lost'] as const
type NodeState = (typeof nodeStates)[number]

/** A node as it stands in the store. */
export interface NodeRecord {
  readonly id: string
  readonly class: string
  readonly state: NodeState
  /** Null until it reported, or where the fleet is not local. */
  readonly pid: number | null
  readonly address: string | null
  /** The tiers that it last reported; none until it did. */
  readonly serves: readonly Tier[]
  /** Milliseconds since the Unix epoch; the oldest node is filled first. */
  readonly startedAtMs: number
  readonly lostAtMs: number | null
}

/** A node as it is known now. */
export interface Node {
  readonly record: NodeRecord
  readonly class: NodeClass
  /** Null until it reported to this controller process. */
  readonly report: NodeReport | null
  /** On the monotonic clock, as is `sinceMs`. */
  readonly reportedMs: number | null
  /** Since when this controller process knows it. */
  readonly sinceMs: number
}

/** What a node still holds, as it last reported; null if it has not reported to this controller process. */
export function loadOf({ report }: Node): { jobs: number; objects: number; usedBytes: number } | null {
  if (report === null) return null
  return {
    jobs: report.jobs.length,
    objects: report.jobs.reduce((sum, { objects }) => sum + objects, 0),
    usedBytes: Object.values(report.tiers).reduce((sum, { usedBytes }) => sum + usedBytes, 0),
  }
}

/** True while its process runs, as far as the fleet has told. */
export function isAlive({ record }: Node): boolean {
  return record.state !== 'lost'
}

/** True if new shares may be put on it. */
export function isOpen({ record }: Node): boolean {
  return record.state === 'starting' || record.state === 'active'
}

/** What it has in all: what it says of itself, once it did; until then its class, of the tiers that nodes serve. */
export function capacityOf({ report, class: nodeClass }: Node, served: ReadonlySet<Tier>): ResourceVector {
  const ofClass = capacityOfClass(nodeClass, served)
  if (report === null) return ofClass
  const { ram, ssd } = report.tiers
  return { ...ofClass, ramBytes: ram?.capacityBytes ?? 0, ssdBytes: ssd?.capacityBytes ?? 0 }
}

/** Nodes that may take shares, in the order in which they are filled: those that serve first, oldest first. */
export function inFillOrder(nodes: Iterable<Node>): Node[] {
  const rank = ({ record }: Node): number => (record.state === 'active' ? 0 : 1)
  return [...nodes]
    .filter(isOpen)
    .sort((a, b) => rank(a) - rank(b) || a.record.startedAtMs - b.record.startedAtMs)
}
