import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import { NodeRank, type Room, type Spare } from '../packing/packing.ts'
import { capacityOf, inFillOrder, isAlive, isOpen, type Node } from '../records/node.ts'
import {
  capacityOfClass,
  type NodeClass,
  nothing,
  type ResourceVector,
  scale,
  subtract,
  sum,
} from '../sizing/node-class.ts'

/** What bounds how many nodes there may be. */
interface Bounds {
  readonly classes: readonly NodeClass[]
  /** What all nodes together may cost an hour. */
  readonly pricePerHourMax: number
  /** Whether nodes are given an S3-compatible store. */
  readonly hasS3: boolean
}

/** The tiers that a node serves by its config: what is known of it until it has reported. */
export function expectedTiers({ ssdBytes }: NodeClass, hasS3: boolean): Tier[] {
  const there: Record<Tier, boolean> = { ram: true, ssd: ssdBytes > 0, s3: hasS3 }
  return tiers.filter((tier) => there[tier])
}

/**
 * RAM, and each tier that a living node reported, or will where it starts: what one serves, others are taken to serve as well, as far as their
 * class has it. Of a class without a node the config tells: a job whose first node has to be started for it gets what that will have.
 */
export function servedBy(
  nodes: Iterable<Node>,
  { classes, hasS3 }: Pick<Bounds, 'classes' | 'hasS3'>,
): ReadonlySet<Tier> {
  const living = [...nodes].filter(isAlive)
  const known = new Set(living.map((node) => node.class.name))
  const unknown = classes.filter(({ name, nodesMax }) => nodesMax > 0 && !known.has(name))
  return new Set<Tier>([
    'ram',
    ...living.flatMap(({ record }) => record.serves),
    ...unknown.flatMap((nodeClass) => expectedTiers(nodeClass, hasS3)),
  ])
}

/** What a cluster has with as many nodes as its classes allow. */
export function limitOf(classes: readonly NodeClass[], served: ReadonlySet<Tier>): ResourceVector {
  return sum(classes.map((nodeClass) => scale(capacityOfClass(nodeClass, served), nodeClass.nodesMax)))
}

/** What is left on the nodes that may take shares. */
export function sparesOn(
  nodes: readonly Node[],
  reserved: ReadonlyMap<string, ResourceVector>,
  served: ReadonlySet<Tier>,
): Spare[] {
  return inFillOrder(nodes).map((node) => {
    const { id } = node.record
    const capacity = capacityOf(node, served)
    return {
      node: id,
      capacity,
      rank: node.record.state === 'active' ? NodeRank.serves : NodeRank.starts,
      ...subtract(capacity, reserved.get(id) ?? nothing),
    }
  })
}

/**
 * How many nodes of each class may be started. One that is being emptied is still there with all that it holds; one
 * that is empty and about to exit holds nobody up.
 */
export function capacityBeside(
  nodes: readonly Node[],
  reserved: ReadonlyMap<string, ResourceVector>,
  bounds: Bounds,
): Room[] {
  const { classes, pricePerHourMax } = bounds
  const served = servedBy(nodes, bounds)
  const left = pricePerHourMax - priceOfNodes(nodes)
  const counts = (node: Node): boolean =>
    isOpen(node) || (node.record.state === 'draining' && reserved.has(node.record.id))
  return classes.map((nodeClass) => {
    const there = nodes.filter((node) => counts(node) && node.record.class === nodeClass.name)
    const room = Math.min(nodeClass.nodesMax - there.length, affordable(nodeClass, left))
    return { nodeClass, capacity: capacityOfClass(nodeClass, served), nodes: Math.max(0, room) }
  })
}

/** How many nodes of each class there may be in all. */
export function emptyCapacity(
  { classes, pricePerHourMax }: Pick<Bounds, 'classes' | 'pricePerHourMax'>,
  served: ReadonlySet<Tier>,
): Room[] {
  return classes.map((nodeClass) => ({
    nodeClass,
    capacity: capacityOfClass(nodeClass, served),
    nodes: Math.min(nodeClass.nodesMax, affordable(nodeClass, pricePerHourMax)),
  }))
}

/** Of those that run or start. */
export function priceOfNodes(nodes: readonly Node[]): number {
  return nodes.reduce((total, node) => total + (isAlive(node) ? node.class.pricePerHour : 0), 0)
}

/** Of one class alone; where several would be started together, their sum is checked before. */
function affordable({ pricePerHour }: NodeClass, left: number): number {
  // A billionth of rounding costs nobody a node.
  return pricePerHour === 0 ? Number.POSITIVE_INFINITY : Math.floor((left / pricePerHour) * (1 + 1e-9))
}
