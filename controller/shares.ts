import { MayflyError } from '../protocol/errors.ts'
import type { Job } from './job.ts'
import type { PlacedShare } from './metadata-client.ts'
import type { Nodes } from './nodes.ts'

/** Slots follow the bytes, in whole mebibytes. */
const WEIGHT_BYTES = 1024 * 1024

/** A job's shares as metadata takes them. Every node of them must serve. */
export function placedShares({ shares }: Job, nodes: Nodes): PlacedShare[] {
  return shares.map(({ node, ramBytes }) => {
    const address = nodes.get(node)?.record.address ?? null
    if (address === null) throw new MayflyError('UNAVAILABLE', `Storage node ${node} does not serve yet`)
    return { node, address, weight: Math.max(1, Math.round(ramBytes / WEIGHT_BYTES)), ramBytes }
  })
}
