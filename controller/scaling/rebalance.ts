import { dimensions, fits, type ResourceVector, scale, subtract } from '../sizing/node-class.ts'
import { BAND_MIDDLE, fullestOf, type Load, mapLoad, type Resource, sumLoads } from './policy.ts'

/** The load of one job on a node. */
export interface JobPart {
  readonly job: string
  /** Its part of the node's load. */
  readonly load: Load
  readonly share: ResourceVector
  /** False while its slots are moving. */
  readonly movable: boolean
}

/** A node as source or target of moves. */
export interface Balanced {
  readonly node: string
  /** Unreserved capacity. */
  readonly spare: ResourceVector
  readonly jobs: readonly JobPart[]
}

/** A part of a job's share that moves to another node. */
export interface Move {
  readonly job: string
  readonly from: string
  readonly to: string
  /** Fraction of the share on `from`: above 0, up to 1. */
  readonly part: number
}

/** Smaller differences are ignored: hashing is uneven, and moves cost as well. */
const GAP_MIN = 0.2
/** A smaller part of a share is not worth a connection. */
const PART_MIN = 1 / 16
/** Per round; the next round sees the effect. */
const MOVES_MAX = 64

/** A node with the planned moves applied. */
interface Leaning {
  readonly node: string
  readonly jobs: readonly JobPart[]
  spare: ResourceVector
  load: Load
  fullest: ReturnType<typeof fullestOf>
}

/**
 * Plans moves from the fullest to the emptiest nodes, pair by pair: a whole share that fits the gap, else a part of the largest. Only nodes
 * fuller than `above` are sources, and only nodes with enough unreserved capacity are targets.
 */
export function planMoves(nodes: readonly Balanced[], above: number = BAND_MIDDLE): Move[] {
  const moves: Move[] = []
  const state = nodes.map(({ node, jobs, spare }): Leaning => {
    const load = sumLoads(jobs.map((part) => part.load))
    return { node, jobs, spare, load, fullest: fullestOf(load) }
  })
  const given = new Set<string>()
  const stuck = new Set<string>()
  while (moves.length < MOVES_MAX) {
    const hot = mostOf(state, (each) => (stuck.has(each.node) ? Number.NEGATIVE_INFINITY : each.fullest.load))
    if (hot === null || hot.fullest.load <= above) break
    const { resource } = hot.fullest
    const cold = mostOf(state, (each) => (each === hot ? Number.NEGATIVE_INFINITY : -each.fullest.load))
    if (cold === null || hot.fullest.load - cold.fullest.load < GAP_MIN) break
    const gap = (hot.fullest.load - cold.load[resource]) / 2
    const movable = hot.jobs.filter((part) => part.movable && !given.has(`${part.job} ${hot.node}`))
    const chosen = choose(movable, { resource, gap, spare: cold.spare })
    if (chosen === null) {
      stuck.add(hot.node)
      continue
    }
    const { job, part, moved, share } = chosen
    moves.push({ job, from: hot.node, to: cold.node, part })
    given.add(`${job} ${hot.node}`)
    hot.load = mapLoad(hot.load, (of, each) => of - moved[each])
    hot.fullest = fullestOf(hot.load)
    cold.load = mapLoad(cold.load, (of, each) => of + moved[each])
    cold.fullest = fullestOf(cold.load)
    cold.spare = subtract(cold.spare, share)
  }
  return moves
}

/** The first with the highest value; null if all values are null. */
function mostOf(state: readonly Leaning[], value: (each: Leaning) => number): Leaning | null {
  let most: { each: Leaning | null; value: number } = { each: null, value: Number.NEGATIVE_INFINITY }
  for (const each of state) {
    const its = value(each)
    if (its > most.value) most = { each, value: its }
  }
  return most.each
}

function choose(
  parts: readonly JobPart[],
  { resource, gap, spare }: { resource: Resource; gap: number; spare: ResourceVector },
): { job: string; part: number; moved: Load; share: ResourceVector } | null {
  const bySize = [...parts]
    .filter(({ load }) => load[resource] > 0)
    .sort((a, b) => b.load[resource] - a.load[resource])
  const whole = bySize.find(({ load, share }) => load[resource] <= gap && fits(share, spare))
  const [largest] = bySize
  // A whole share that fills half of the gap is preferred to a part, which needs another connection.
  const first = whole !== undefined && whole.load[resource] >= gap / 2 ? whole : (largest ?? whole)
  for (const { job, load, share } of first === undefined ? [] : [first, ...bySize]) {
    const part = Math.min(1, gap / load[resource], partThatFits(share, spare))
    if (part < PART_MIN) continue
    return { job, part, moved: mapLoad(load, (of) => of * part), share: scale(share, part) }
  }
  return null
}

function partThatFits(share: ResourceVector, spare: ResourceVector): number {
  return Math.min(...dimensions.map((each) => (share[each] === 0 ? 1 : spare[each] / share[each])))
}
