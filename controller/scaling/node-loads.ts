import type { NodeReport } from '../../protocol/operations/reports.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { FleetCapacity } from '../nodes/capacity.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import type { Job, Share } from '../records/job.ts'
import { capacityOf, isOpen, type Node } from '../records/node.ts'
import {
  bytesOf,
  fits,
  type NodeClass,
  nothing,
  type ResourceVector,
  subtract,
} from '../sizing/node-class.ts'
import { type ClassLoad, type Load, mapLoad, noLoad } from './policy.ts'
import type { Balanced, JobPart } from './rebalance.ts'
import type { Reconciler } from './reconciler.ts'

type TierUse = NodeReport['jobs'][number]['bytes']

export interface NodeLoadsOptions {
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly fleetCapacity: FleetCapacity
  readonly reconciler: Reconciler
}

/** One class of nodes as the policy sees it in one round. */
export interface ClassView extends Pick<ClassLoad, 'loads' | 'idle' | 'room'> {
  readonly isStarting: boolean
  /** Open nodes with shares, the emptiest first. */
  readonly busyNodes: readonly Balanced[]
  readonly idleNodes: readonly Balanced[]
  /** Capacity of a node that is not started yet. */
  readonly capacity: ResourceVector
}

/** The loads of a class's nodes as fractions of their capacity; null while a node has not reported to this process. */
export function viewClass(nodeClass: NodeClass, options: NodeLoadsOptions): ClassView | null {
  const { ledger, nodes, fleetCapacity } = options
  const reserved = ledger.reserved()
  const open = nodes.all().filter((node) => isOpen(node) && node.record.class === nodeClass.name)
  if (open.some(({ record, report }) => record.state === 'active' && report === null)) return null
  const room = fleetCapacity.rooms(reserved).find((each) => each.nodeClass === nodeClass)
  const isBusy = ({ record }: Node): boolean => reserved.has(record.id)
  const balanced = (node: Node): Balanced => {
    const spare = subtract(capacityOf(node, fleetCapacity.served), reserved.get(node.record.id) ?? nothing)
    return { node: node.record.id, spare, jobs: partsOf(node, options) }
  }
  const idleNodes = open.filter((node) => !isBusy(node) && node.record.state === 'active').map(balanced)
  const busy = open.filter(isBusy)
  return {
    loads: busy.map((node) => loadOfNode(node, options)),
    idle: idleNodes.length,
    room: room?.nodes ?? 0,
    isStarting: open.some(({ record }) => record.state === 'starting'),
    busyNodes: busy.map(balanced),
    idleNodes,
    capacity: room?.capacity ?? nothing,
  }
}

function loadOfNode(node: Node, { ledger }: NodeLoadsOptions): Load {
  const { report, record } = node
  if (report === null) return noLoad
  const counted = report.jobs.map(({ id, bytes }) => countedBytes(bytes, shareOf(ledger.get(id), record.id)))
  return partsOfNode(node, {
    cpu: report.cpuCores,
    network: report.bytesPerSecond,
    ram: counted.reduce((sum, { ram }) => sum + ram, 0),
    ssd: counted.reduce((sum, { ssd }) => sum + ssd, 0),
  })
}

/**
 * The bytes of a job on a node that count on each tier. A job with tiers below RAM fills its RAM and demotes the least valuable objects, so
 * no tier of such a job counts as fuller than its share as a whole. Bytes on S3 fill no node.
 */
function countedBytes(
  { ram = 0, ssd = 0, s3 = 0 }: TierUse,
  share: Share | undefined,
): { readonly ram: number; readonly ssd: number } {
  if (share === undefined || share.ssdBytes + share.s3Bytes === 0) return { ram, ssd }
  const part = (ram + ssd + s3) / bytesOf(share)
  return { ram: share.ramBytes * part, ssd: share.ssdBytes * part }
}

function shareOf(job: Job | undefined, node: string): Share | undefined {
  return job?.shares.find((share) => share.node === node)
}

/** Amounts as fractions of the node's capacity. */
function partsOfNode({ report, class: nodeClass }: Node, amounts: Load): Load {
  const has: Load = {
    cpu: nodeClass.cores,
    network: nodeClass.bytesPerSecond,
    ram: report?.tiers.ram?.capacityBytes ?? 0,
    ssd: report?.tiers.ssd?.capacityBytes ?? 0,
  }
  return mapLoad(amounts, (amount, of) => (has[of] > 0 ? amount / has[of] : 0))
}

/** CPU is attributed to jobs in proportion to the bytes that they transfer. */
function partsOf(node: Node, { ledger, reconciler }: NodeLoadsOptions): JobPart[] {
  const { report, record } = node
  if (report === null) return []
  return report.jobs.flatMap(({ id, bytes, bytesPerSecond }) => {
    const job = ledger.get(id)
    const share = shareOf(job, record.id)
    if (job === undefined || share === undefined) return []
    const ofMoved =
      report.bytesPerSecond > 0 ? bytesPerSecond / report.bytesPerSecond : 1 / report.jobs.length
    const load = partsOfNode(node, {
      cpu: report.cpuCores * ofMoved,
      network: bytesPerSecond,
      ...countedBytes(bytes, share),
    })
    const isMoving = job.shares.some(({ leaving }) => leaving !== undefined) || reconciler.isPending(id)
    return [{ job: id, load, share, movable: job.state === 'active' && !isMoving && !fits(share, nothing) }]
  })
}
