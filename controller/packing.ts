import { JOB_NODES_MAX, SLOTS_DEFAULT } from '../protocol/limits.ts'
import { fits, type NodeClass, nothing, type ResourceVector, subtract, sum } from './node-class.ts'

/** A node that runs or starts, and what nobody has reserved on it. */
export interface Spare extends ResourceVector {
  readonly node: string
}

/** How many nodes of a class may still be started. */
export interface Room {
  readonly nodeClass: NodeClass
  readonly nodes: number
}

/** Where a part of the demand goes: on a node that is there, or on a new one of a class. */
interface Assignment extends ResourceVector {
  readonly on: { readonly node: string } | { readonly newOf: NodeClass }
}

/** Why a demand cannot be met: what nobody has reserved yet, on nodes that run and on ones that may be started. */
interface Shortage {
  readonly free: ResourceVector
}

export type Packing = { readonly assignments: readonly Assignment[] } | { readonly shortage: Shortage }

/** Where each of several demands goes, in their order, and the nodes that have to be started for it. */
export interface Plan {
  readonly started: readonly { readonly node: string; readonly nodeClass: NodeClass }[]
  readonly shares: readonly (readonly Spare[])[]
}

/** Packs demands one after another, each into what those before it left: all of them, or none. */
export function packAll(
  demands: readonly ResourceVector[],
  into: { readonly spares: readonly Spare[]; readonly rooms: readonly Room[] },
  newNode: () => string,
): Plan | { readonly shortage: Shortage } {
  const started: { node: string; nodeClass: NodeClass }[] = []
  const shares: Spare[][] = []
  let { spares, rooms } = into
  for (const demand of demands) {
    const packing = pack(demand, spares, rooms)
    if ('shortage' in packing) return { shortage: { free: freeOf(into.spares, into.rooms) } }
    const own: Spare[] = []
    for (const { on, ...part } of packing.assignments) {
      if ('newOf' in on) {
        const { newOf: nodeClass } = on
        const node = newNode()
        started.push({ node, nodeClass })
        rooms = rooms.map((room) =>
          room.nodeClass === nodeClass ? { nodeClass, nodes: room.nodes - 1 } : room,
        )
        spares = [...spares, { node, ...subtract(nodeClass, part) }]
        own.push({ node, ...part })
      } else {
        const { node } = on
        spares = spares.map((spare) => (spare.node === node ? { node, ...subtract(spare, part) } : spare))
        own.push({ node, ...part })
      }
    }
    shares.push(own)
  }
  return { started, shares }
}

/**
 * First fit: the first node, in the order given, that takes all of the demand; else as much as fits on each in
 * turn, and new nodes, class by class, for the rest. On every node bytes and bytes per second stand in the same
 * proportion as in the demand, because hashing spreads both alike.
 */
export function pack(demand: ResourceVector, spares: readonly Spare[], rooms: readonly Room[]): Packing {
  const whole = spares.find((spare) => fits(demand, spare))
  if (whole !== undefined) return { assignments: [{ on: { node: whole.node }, ...vectorOf(demand) }] }
  const assignments: Assignment[] = []
  let rest = vectorOf(demand)
  for (const bin of binsOf(spares, rooms)) {
    if (assignments.length === JOB_NODES_MAX) break
    const part = partThatFits(rest, bin.spare)
    if (fits(part, nothing)) continue
    if (part.ramBytes * SLOTS_DEFAULT < demand.ramBytes && !fits(rest, part)) continue
    assignments.push({ on: bin.on, ...part })
    rest = subtract(rest, part)
    if (fits(rest, nothing)) return { assignments }
  }
  return { shortage: { free: freeOf(spares, rooms) } }
}

/** What nobody has reserved, on nodes that run and on ones that may be started. */
export function freeOf(spares: readonly Spare[], rooms: readonly Room[]): ResourceVector {
  return sum([...spares, ...rooms.map(capacityOf)])
}

function* binsOf(
  spares: readonly Spare[],
  rooms: readonly Room[],
): Generator<{ on: Assignment['on']; spare: ResourceVector }> {
  for (const spare of spares) yield { on: { node: spare.node }, spare }
  for (const { nodeClass, nodes } of rooms) {
    for (let node = 0; node < nodes; node++) yield { on: { newOf: nodeClass }, spare: nodeClass }
  }
}

/**
 * The largest part of `demand` that fits, in the demand's own proportion. A part of less than one slot is not
 * worth a connection and could not be placed anyway; `pack` passes over it.
 */
export function partThatFits(demand: ResourceVector, spare: ResourceVector): ResourceVector {
  if (fits(demand, spare)) return demand
  const byRam = spare.ramBytes / demand.ramBytes
  const byRate = demand.bytesPerSecond === 0 ? 1 : spare.bytesPerSecond / demand.bytesPerSecond
  if (byRam <= byRate) {
    const bytesPerSecond = Math.floor(Math.min(spare.bytesPerSecond, demand.bytesPerSecond * byRam))
    return { ramBytes: spare.ramBytes, bytesPerSecond }
  }
  return {
    ramBytes: Math.floor(Math.min(spare.ramBytes, demand.ramBytes * byRate)),
    bytesPerSecond: spare.bytesPerSecond,
  }
}

/** What a whole room of new nodes has. */
function capacityOf({ nodeClass, nodes }: Room): ResourceVector {
  return { ramBytes: nodeClass.ramBytes * nodes, bytesPerSecond: nodeClass.bytesPerSecond * nodes }
}

function vectorOf({ ramBytes, bytesPerSecond }: ResourceVector): ResourceVector {
  return { ramBytes, bytesPerSecond }
}
