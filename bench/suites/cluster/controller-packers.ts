import { type Fleet, NodeRank, packAll } from '../../../controller/packing/packing.ts'
import type { NodeClass } from '../../../controller/sizing/node-class.ts'
import { capacityOfClass, nothing, subtract, sum } from '../../../controller/sizing/node-class.ts'
import type { Demand } from './controller-mixes.ts'

/** The result of a packing method. */
export interface Packed {
  readonly nodes: number
  /** Connections that a function of a job needs, on average. */
  readonly nodesPerJob: number
  /** One figure per decision, if Mayfly's own code decided. */
  readonly decisionMs: readonly number[]
}

/** Large enough that integers have a precision of a millionth. */
const UNIT = 2 ** 30

const nodeClass: NodeClass = {
  name: 'node',
  cores: 8,
  ramBytes: UNIT,
  ssdBytes: 0,
  bytesPerSecond: UNIT,
  pricePerHour: 1,
  nodesMax: 4_000,
}

/** A lower bound on the number of nodes: the sum of the demands in the scarcer resource. */
export function lowerBound(demands: readonly Demand[]): number {
  const total = (dimension: 0 | 1): number => demands.reduce((sum, demand) => sum + demand[dimension], 0)
  return Math.ceil(Math.max(total(0), total(1)) - 1e-9)
}

/** Mayfly: the controller's own code, one registration after another. */
export function packWithMayfly(demands: readonly Demand[]): Packed {
  const capacity = capacityOfClass(nodeClass, new Set(['ram']))
  let fleet: Fleet = {
    spares: [],
    rooms: [{ nodeClass, capacity, nodes: nodeClass.nodesMax }],
    mix: nothing,
  }
  const decisionMs: number[] = []
  let parts = 0
  let ids = 0
  for (const [bytes, rate] of demands) {
    const demand = {
      ...nothing,
      ramBytes: Math.round(bytes * UNIT),
      bytesPerSecond: Math.round(rate * UNIT),
    }
    const began = performance.now()
    const plan = packAll([demand], fleet, () => `n-${++ids}`)
    decisionMs.push(performance.now() - began)
    if ('shortage' in plan) throw new Error('the fleet is too small for the mix')
    const shares = plan.shares.flat()
    parts += shares.length
    const taken = new Map(shares.map((share) => [share.node, share]))
    const started = plan.started.map(({ node }) => ({ node, capacity, rank: NodeRank.serves, ...capacity }))
    const spares = [...fleet.spares, ...started].map((spare) => {
      const share = taken.get(spare.node)
      return share === undefined ? spare : { ...spare, ...subtract(spare, share) }
    })
    fleet = {
      spares,
      rooms: [{ nodeClass, capacity, nodes: nodeClass.nodesMax - spares.length }],
      mix: sum([fleet.mix, demand]),
    }
  }
  return { nodes: fleet.spares.length, nodesPerJob: parts / demands.length, decisionMs }
}

type Spare = [bytes: number, bytesPerSecond: number]

/**
 * Pocket's rule (OSDI'18, section 4.2): jobs fill active servers one after another, each server with a weight in proportion to its part of the job; new servers
 * are started for the rest.
 */
export function packWithPocket(demands: readonly Demand[]): Packed {
  const spares: Spare[] = []
  let parts = 0
  for (const demand of demands) {
    let rest = 1
    const fill = (spare: Spare): void => {
      const part = Math.min(rest, spare[0] / demand[0], spare[1] / demand[1])
      if (part < 1e-3 && part < rest) return
      spare[0] -= part * demand[0]
      spare[1] -= part * demand[1]
      rest -= part
      parts++
    }
    for (const spare of spares) if (rest > 1e-9) fill(spare)
    while (rest > 1e-9) fill(spares[spares.push([1, 1]) - 1] as Spare)
  }
  return { nodes: spares.length, nodesPerJob: parts / demands.length, decisionMs: [] }
}

/** Best fit: the node on which least is left over. A demand larger than a node fills whole nodes first. */
export function packByBestFit(demands: readonly Demand[]): Packed {
  return packWhole(demands, (fitting) =>
    fitting.reduce((best, spare) => (size(spare) < size(best) ? spare : best)),
  )
}

/** First fit decreasing. It knows all jobs before it places the first, which is impossible for registrations. */
export function packByFirstFitDecreasing(demands: readonly Demand[]): Packed {
  return packWhole(
    [...demands].sort((a, b) => size(b) - size(a)),
    ([first]) => first as Spare,
  )
}

function packWhole(demands: readonly Demand[], choose: (fitting: [Spare, ...Spare[]]) => Spare): Packed {
  const spares: Spare[] = []
  let parts = 0
  for (const demand of demands) {
    for (const part of wholeParts(demand)) {
      const fitting = spares.filter((spare) => part[0] <= spare[0] && part[1] <= spare[1])
      const [first, ...others] = fitting
      const spare =
        first === undefined ? (spares[spares.push([1, 1]) - 1] as Spare) : choose([first, ...others])
      spare[0] -= part[0]
      spare[1] -= part[1]
      parts++
    }
  }
  return { nodes: spares.length, nodesPerJob: parts / demands.length, decisionMs: [] }
}

/** Splits a demand larger than a node into parts, all but the last of which fill a node. */
function wholeParts([bytes, bytesPerSecond]: Demand): Demand[] {
  const nodes = Math.max(bytes, bytesPerSecond)
  const full = Math.ceil(nodes) - 1
  if (full <= 0) return [[bytes, bytesPerSecond]]
  const part = (by: number): Demand => [(bytes * by) / nodes, (bytesPerSecond * by) / nodes]
  return [...Array.from({ length: full }, () => part(1)), part(nodes - full)]
}

function size([bytes, bytesPerSecond]: Demand): number {
  return bytes + bytesPerSecond
}
