/** The resources that are kept in a band, as fractions of a node's capacity. */
const resources = ['cpu', 'network', 'ram', 'ssd'] as const
export type Resource = (typeof resources)[number]
/** CPU may exceed 1: garbage collection has threads of its own. */
export type Load = Readonly<Record<Resource, number>>

export const noLoad: Load = Object.freeze({ cpu: 0, network: 0, ram: 0, ssd: 0 })

/** The band of Pocket (OSDI'18, section 4.3). */
export const BAND_LOW = 0.6
export const BAND_HIGH = 0.8
/** The target after adding or removing nodes: equally far from both edges. */
export const BAND_MIDDLE = 0.7

/**
 * Consecutive rounds above the band before nodes are added. Byte usage is not noisy, and puts fail when bytes run out, so bytes react
 * faster.
 */
const ABOVE_ROUNDS: Readonly<Record<Resource, number>> = { cpu: 3, network: 3, ram: 1, ssd: 1 }
/** Consecutive rounds below the band before a node is removed; shorter dips are ignored. */
export const BELOW_ROUNDS = 20
/** Fraction of a class that is removed at once; the other nodes receive their data while they serve. */
const REMOVED_PART_MAX = 1 / 8
/** Rounds to wait for the effect of a decision. */
const COOL_ROUNDS = 10

/** A class of nodes in one round. */
export interface ClassLoad {
  /** Loads of the nodes with shares; all 0 for a starting node. */
  readonly loads: readonly Load[]
  /** Number of serving nodes without reservations. */
  readonly idle: number
  /** Number of nodes that may be started. */
  readonly room: number
  /** True while placement changes for another reason: a drain, a reconciliation, a registration, a starting node. */
  readonly unsettled: boolean
}

/** State of a class between rounds. */
export interface ClassMemory {
  readonly aboveRounds: Load
  readonly belowRounds: number
  readonly coolRounds: number
}

export const noMemory: ClassMemory = Object.freeze({ aboveRounds: noLoad, belowRounds: 0, coolRounds: 0 })

export type Decision =
  | { readonly kind: 'stay' }
  /** The load is above the band and no more nodes may be started. */
  | { readonly kind: 'full'; readonly resource: Resource; readonly load: number }
  /** Add nodes to share the load; idle nodes before new ones. */
  | { readonly kind: 'add'; readonly nodes: number; readonly resource: Resource; readonly load: number }
  /** Drain this number of the emptiest nodes. `load` is the average of the fullest resource. */
  | { readonly kind: 'remove'; readonly nodes: number; readonly resource: Resource; readonly load: number }

const stay: Decision = Object.freeze({ kind: 'stay' })

/**
 * One round, of a second, for one class of nodes. The average of each resource over the nodes should stay in the band. If any resource is above it, nodes are
 * added until all are at its middle. If all are below it, nodes are removed: at most an eighth, and only as many as leave the others no higher than the middle.
 * Together with the rounds before a decision and the pause after it, this prevents flapping:
 * - Nodes added for a load L·n > 0.8 n are not removed while L·n stays, as L·n / n > 0.7.
 * - A load that falls and recovers within `BELOW_ROUNDS` removes no node.
 * - So a periodic load costs at most one addition and one removal per `BELOW_ROUNDS + COOL_ROUNDS`.
 */
export function decide(memory: ClassMemory, now: ClassLoad): { memory: ClassMemory; decision: Decision } {
  const { loads, idle, room, unsettled } = now
  const total = sumLoads(loads)
  const nodes = loads.length
  const mean = mapLoad(total, (value) => (nodes === 0 ? 0 : value / nodes))
  const aboveRounds = mapLoad(mean, (value, of) => (value > BAND_HIGH ? memory.aboveRounds[of] + 1 : 0))
  const fullest = fullestOf(mean)
  const isBelow = nodes > 1 && fullest.load < BAND_LOW && fullestOf(total).load <= BAND_MIDDLE * (nodes - 1)
  const belowRounds = isBelow ? memory.belowRounds + 1 : 0
  const coolRounds = Math.max(0, memory.coolRounds - 1)
  const seen = { aboveRounds, belowRounds, coolRounds }
  if (memory.coolRounds > 0) return { memory: seen, decision: stay }
  const after = { ...noMemory, coolRounds: COOL_ROUNDS }
  const above = resources.filter((of) => aboveRounds[of] >= ABOVE_ROUNDS[of])
  if (above.length > 0) {
    const wanted = Math.max(...above.map((of) => Math.ceil(total[of] / BAND_MIDDLE - 1e-9))) - nodes
    const added = Math.min(wanted, idle + room)
    const most = fullestOf(mean, above)
    if (added <= 0) return { memory: seen, decision: { kind: 'full', ...most } }
    return { memory: after, decision: { kind: 'add', nodes: added, ...most } }
  }
  if (belowRounds >= BELOW_ROUNDS && !unsettled) {
    const surplus = nodes - Math.ceil(fullestOf(total).load / BAND_MIDDLE - 1e-9)
    const removed = Math.max(1, Math.min(surplus, nodes - 1, Math.floor(nodes * REMOVED_PART_MAX)))
    return { memory: after, decision: { kind: 'remove', nodes: removed, ...fullest } }
  }
  return { memory: seen, decision: stay }
}

export function sumLoads(loads: Iterable<Load>): Load {
  let total = noLoad
  for (const load of loads) total = mapLoad(total, (value, of) => value + load[of])
  return total
}

export function mapLoad(load: Load, change: (value: number, of: Resource) => number): Load {
  return {
    cpu: change(load.cpu, 'cpu'),
    network: change(load.network, 'network'),
    ram: change(load.ram, 'ram'),
    ssd: change(load.ssd, 'ssd'),
  }
}

/** The resource with the highest usage. */
export function fullestOf(
  load: Load,
  among: readonly Resource[] = resources,
): { resource: Resource; load: number } {
  return among
    .map((resource) => ({ resource, load: load[resource] }))
    .reduce((most, each) => (each.load > most.load ? each : most))
}
