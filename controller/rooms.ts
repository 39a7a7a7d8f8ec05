import type { Tier } from '../protocol/data-operations.ts'
import { capacityOf, inFillOrder, isAlive, isOpen, type Node } from './node.ts'
import {
  capacityOfClass,
  type NodeClass,
  nothing,
  type ResourceVector,
  scale,
  subtract,
  sum,
} from './node-class.ts'
import { NodeRank, type Room, type Spare } from './packing.ts'

/** What bounds how many nodes there may be. */
interface Bounds {
  readonly classes: readonly NodeClass[]
  /** What all nodes together may cost an hour. */
  readonly pricePerHourMax: number
}

/**
 * RAM, and each tier that a living node reported: what one serves, others are taken to serve as well, as far as their
 * class has it.
 */
export function servedBy(nodes: Iterable<Node>): ReadonlySet<Tier> {
  const living = [...nodes].filter(isAlive)
  return new Set<Tier>(['ram', ...living.flatMap(({ record }) => record.serves)])
}

/** What a cluster has with as many nodes as its classes allow. */
export function limitOf(classes: readonly NodeClass[], served: ReadonlySet<Tier>): ResourceVector {
  return sum(classes.map((nodeClass) => scale(capacityOfClass(nodeClass, served), nodeClass.nodesMax)))
}

/** What is left on the nodes that may take shares. */
export function sparesOn(nodes: readonly Node[], reserved: ReadonlyMap<string, ResourceVector>): Spare[] {
  const served = servedBy(nodes)
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
export function roomsBeside(
  nodes: readonly Node[],
  reserved: ReadonlyMap<string, ResourceVector>,
  { classes, pricePerHourMax }: Bounds,
): Room[] {
  const served = servedBy(nodes)
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
export function emptyRooms({ classes, pricePerHourMax }: Bounds, served: ReadonlySet<Tier>): Room[] {
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
