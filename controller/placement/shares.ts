import { MayflyError } from '../../protocol/errors.ts'
import type { PlacedShare } from '../../protocol/model/placement.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import { type Job, remainderOf, type Share } from '../records/job.ts'

/** A job as metadata is told of it. */
export interface PlacedJob {
  readonly id: string
  readonly shares: readonly PlacedShare[]
  readonly readsPerThousand: number | null
}

/** Slots follow the bytes, in whole mebibytes. */
const WEIGHT_BYTES = 1024 * 1024

/** A job with shares as metadata takes them. */
export function placedJob(
  { id, demand }: Pick<Job, 'id' | 'demand'>,
  shares: readonly Share[],
  nodes: NodeRegistry,
): PlacedJob {
  const { readsPerObject } = demand
  const readsPerThousand = readsPerObject === null ? null : Math.round(readsPerObject * 1000)
  return { id, shares: placedShares(shares, nodes), readsPerThousand }
}

/**
 * A job's shares as metadata takes them. Every node of them must serve. One that drains, or a part that leaves, keeps its
 * bytes for as long as there are slots on it, and is given no more.
 */
function placedShares(shares: readonly Share[], nodes: NodeRegistry): PlacedShare[] {
  return shares.map((share) => {
    const { node, ramBytes, ssdBytes, s3Bytes, bytesPerSecond } = share
    const address = nodes.get(node)?.record.address ?? null
    if (address === null) throw new MayflyError('UNAVAILABLE', `Storage node ${node} does not serve yet`)
    const kept = remainderOf(share)
    const takes = nodes.isOpen(node) && kept.ramBytes > 0
    const weight = takes ? Math.max(1, Math.round((kept.ramBytes + kept.ssdBytes) / WEIGHT_BYTES)) : 0
    return { node, address, weight, ramBytes, ssdBytes, s3Bytes, bytesPerSecond }
  })
}
