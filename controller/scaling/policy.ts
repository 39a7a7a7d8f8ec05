/** What is kept in a band, each as a part of what a node has: 0 is idle, 1 is all of it. */
const resources = ['cpu', 'network', 'ram', 'ssd'] as const
export type Resource = (typeof resources)[number]
/** A process may use a little more CPU than its class has cores: garbage collection has threads of its own. */
export type Load = Readonly<Record<Resource, number>>

export const noLoad: Load = Object.freeze({ cpu: 0, network: 0, ram: 0, ssd: 0 })

/** The band of Pocket (OSDI'18, section 4.3). */
export const BAND_LOW = 0.6
export const BAND_HIGH = 0.8
/** What nodes are added and taken away for: where the load then lies, it has as far to go to either edge. */
export const BAND_MIDDLE = 0.7

/** Rounds in a row above the band before nodes are added. Bytes do not flutter, and where they run out puts fail. */
const ABOVE_ROUNDS: Readonly<Record<Resource, number>> = { cpu: 3, network: 3, ram: 1, ssd: 1 }
/** Rounds in a row below the band before a node is taken away: a wave that is shorter is left alone. */
export const BELOW_ROUNDS = 20
/** Of a class so many leave at once: what they hold travels to the others, which serve meanwhile. */
const REMOVED_PART_MAX = 1 / 8
/** Rounds after a decision in which its effect is awaited. */
const COOL_ROUNDS = 10

/** A class of nodes in one round. */
export interface ClassLoad {
  /** Of each node that takes shares and has some; all 0 where it starts. */
  readonly loads: readonly Load[]
  /** Nodes that serve and on which nothing is reserved. */
  readonly idle: number
  /** Nodes that may be started. */
  readonly room: number
  /** True while somebody else changes who is where: a drain, a repair, a registration, a node that starts. */
  readonly unsettled: boolean
}

/** What a class remembers from one round to the next. */
export interface ClassMemory {
  readonly aboveRounds: Load
  readonly belowRounds: number
  readonly coolRounds: number
}

export const noMemory: ClassMemory = Object.freeze({ aboveRounds: noLoad, belowRounds: 0, coolRounds: 0 })

export type Decision =
  | { readonly kind: 'stay' }
  /** The load is above the band, and there may be no more nodes. */
  | { readonly kind: 'full'; readonly resource: Resource; readonly load: number }
  /** So many nodes take a part of the load; those that are idle come before new ones. */
  | { readonly kind: 'add'; readonly nodes: number; readonly resource: Resource; readonly load: number }
  /** So many of the emptiest nodes are drained. `load` is that of the fullest resource, on average. */
  | { readonly kind: 'remove'; readonly nodes: number; readonly resource: Resource; readonly load: number }

const stay: Decision = Object.freeze({ kind: 'stay' })

/**
 * One round, of a second, of one class of nodes. On average over its nodes each resource is to stay in the band: above in
 * any, nodes are added until all are at its middle; below in all, nodes are taken away, an eighth of them at most, and only as many as
 * leave the others no higher than the middle. That, with the rounds that either takes and the pause after it, keeps it from flapping:
 *
 * - what was added for a load L·n > 0.8 n is not taken away again while L·n stays, as L·n / n > 0.7;
 * - a load that falls and comes back within `BELOW_ROUNDS` takes no node away;
 * - so a wave of any period costs at most an addition and a removal each `BELOW_ROUNDS + COOL_ROUNDS`.
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

/** The resource of which most is used. */
export function fullestOf(
  load: Load,
  among: readonly Resource[] = resources,
): { resource: Resource; load: number } {
  return among
    .map((resource) => ({ resource, load: load[resource] }))
    .reduce((most, each) => (each.load > most.load ? each : most))
}
