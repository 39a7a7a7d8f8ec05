import { MayflyError } from '../../protocol/errors.ts'
import type { PlacedShare } from '../../protocol/model/placement.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import { type Job, remainderOf, type Share } from '../records/job.ts'

/** A job as metadata receives it. */
export interface PlacedJob {
  readonly id: string
  readonly shares: readonly PlacedShare[]
  readonly readsPerThousand: number | null
}

/** Slot weights follow the bytes, in MiB. */
const WEIGHT_BYTES = 1024 * 1024

/** The job with shares in the form that metadata expects. */
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
 * The shares in the form that metadata expects. All nodes must serve. A draining node, or a share that moves away, keeps its budget while
 * it has slots and gets weight 0 for new ones.
 */
function placedShares(shares: readonly Share[], nodes: NodeRegistry): PlacedShare[] {
  return shares.map((share) => {
    const { node, ramBytes, ssdBytes, s3Bytes, bytesPerSecond } = share
    const address = nodes.get(node)?.record.address ?? null
    if (address === null) throw new MayflyError('UNAVAILABLE', `Storage node ${node} does not serve yet`)
    const remaining = remainderOf(share)
    const takes = nodes.isOpen(node) && remaining.ramBytes > 0
    const weight = takes
      ? Math.max(1, Math.round((remaining.ramBytes + remaining.ssdBytes) / WEIGHT_BYTES))
      : 0
    return { node, address, weight, ramBytes, ssdBytes, s3Bytes, bytesPerSecond }
  })
}
