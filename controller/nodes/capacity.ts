import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import { NodeRank, type Room, type Spare } from '../packing/packing.ts'
import { capacityOf, inFillOrder, isAlive, isOpen } from '../records/node.ts'
import {
  capacityOfClass,
  type NodeClass,
  nothing,
  type ResourceVector,
  scale,
  subtract,
  sum,
} from '../sizing/node-class.ts'
import type { NodeRegistry } from './registry.ts'
import type { StartFailures } from './start-failures.ts'

export interface FleetCapacityOptions {
  readonly nodes: NodeRegistry
  readonly classes: readonly NodeClass[]
  /** Bound of the price of all nodes together, per hour. */
  readonly pricePerHourMax: number
  /** Whether nodes are given an S3-compatible store. */
  readonly hasS3: boolean
  /** Whether no node can be started. */
  readonly isFixed: boolean
  readonly startFailures: StartFailures
  /** How long whoever needs new nodes waits for them. */
  readonly waitMsMax: number
}

/** What the nodes have, present and possible: tiers, free capacity, price. Pure reads of the registry. */
export class FleetCapacity {
  readonly #options: FleetCapacityOptions

  constructor(options: FleetCapacityOptions) {
    this.#options = options
  }

  /** Whether the fleet starts no nodes itself. */
  get isFixed(): boolean {
    return this.#options.isFixed
  }

  get waitMsMax(): number {
    return this.#options.waitMsMax
  }

  /**
   * The tiers that nodes serve: RAM, each tier that a living node has reported, and those that the config promises for a class
   * without a living node, since a job may start its first node.
   */
  get served(): ReadonlySet<Tier> {
    const { nodes, classes, hasS3, isFixed } = this.#options
    const living = nodes.all().filter(isAlive)
    const known = new Set(living.map((node) => node.class.name))
    const unknown = classes.filter(({ name, nodesMax }) => !isFixed && nodesMax > 0 && !known.has(name))
    return new Set<Tier>([
      'ram',
      ...living.flatMap(({ record }) => record.serves),
      ...unknown.flatMap((nodeClass) => expectedTiers(nodeClass, hasS3)),
    ])
  }

  /** Capacity of the cluster with as many nodes as its classes allow. */
  get limit(): ResourceVector {
    const { served } = this
    return sum(
      this.#options.classes.map((nodeClass) =>
        scale(capacityOfClass(nodeClass, served), this.#mostOf(nodeClass)),
      ),
    )
  }

  /** Price per hour of the nodes that run or start. */
  get pricePerHour(): number {
    return this.#options.nodes
      .all()
      .reduce((total, node) => total + (isAlive(node) ? node.class.pricePerHour : 0), 0)
  }

  /** Free capacity of the nodes that may take shares. */
  spares(reserved: ReadonlyMap<string, ResourceVector>): Spare[] {
    const { served } = this
    return inFillOrder(this.#options.nodes.all()).map((node) => {
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
   * How many nodes of each class may be started; classes of which none could be started lately come last. A node that is emptied still
   * counts, as its machine is in use; one that is empty and about to exit does not, nor one whose process ends in any case.
   */
  rooms(reserved: ReadonlyMap<string, ResourceVector>): Room[] {
    const { nodes, classes, pricePerHourMax, startFailures } = this.#options
    const { served } = this
    const ending = nodes.all().filter((node) => isAlive(node) && node.isEnding)
    const left = pricePerHourMax - this.pricePerHour + sumOf(ending.map((node) => node.class.pricePerHour))
    const counted = nodes
      .all()
      .filter((node) => isOpen(node) || (node.record.state === 'draining' && reserved.has(node.record.id)))
      .filter(({ isEnding }) => !isEnding)
    const isAvoided = ({ name }: NodeClass): boolean => startFailures.isAvoided(name)
    const inOrder = [...classes.filter((each) => !isAvoided(each)), ...classes.filter(isAvoided)]
    return inOrder.map((nodeClass) => {
      const there = counted.filter(({ record }) => record.class === nodeClass.name).length
      const room = Math.min(this.#mostOf(nodeClass) - there, affordable(nodeClass, left))
      return { nodeClass, capacity: capacityOfClass(nodeClass, served), nodes: Math.max(0, room) }
    })
  }

  /** How many nodes of each class an empty cluster could start. */
  emptyRooms(): Room[] {
    const { classes, pricePerHourMax } = this.#options
    const { served } = this
    return classes.map((nodeClass) => ({
      nodeClass,
      capacity: capacityOfClass(nodeClass, served),
      nodes: Math.min(this.#mostOf(nodeClass), affordable(nodeClass, pricePerHourMax)),
    }))
  }

  /** The maximum number of nodes of a class: if the fleet starts none, the present ones. */
  #mostOf({ name, nodesMax }: NodeClass): number {
    const { nodes, isFixed } = this.#options
    return isFixed
      ? nodes.all().filter((node) => isOpen(node) && node.record.class === name).length
      : nodesMax
  }
}

/** The tiers of a node by its config, used until it has reported. */
export function expectedTiers({ ssdBytes }: NodeClass, hasS3: boolean): Tier[] {
  const there: Record<Tier, boolean> = { ram: true, ssd: ssdBytes > 0, s3: hasS3 }
  return tiers.filter((tier) => there[tier])
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** Number of nodes of one class within a price. The sum over several classes is checked by the caller. */
function affordable({ pricePerHour }: NodeClass, left: number): number {
  // The factor absorbs rounding of floating point.
  return pricePerHour === 0 ? Number.POSITIVE_INFINITY : Math.floor((left / pricePerHour) * (1 + 1e-9))
}
