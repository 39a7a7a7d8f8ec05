import { growShares, mergeShares, type Share, scaleShares } from './job.ts'
import { fits, nothing, type ResourceVector, subtract, sum } from './node-class.ts'
import { type Fleet, NodeRank, type Plan, packAll } from './packing.ts'

/**
 * Shares on nodes that are open, grown or shrunk to `demand`: where they are as far as that goes, and on other nodes for
 * the rest. Null if there is no room.
 */
export function resizeShares(
  { open, demand }: { readonly open: readonly Share[]; readonly demand: ResourceVector },
  into: Fleet,
  newNode: () => string,
): { readonly shares: Share[]; readonly started: Plan['started'] } | null {
  const inPlace = fits(demand, sum(open)) ? scaleShares(open, demand) : growShares(open, demand, into.spares)
  const rest = subtract(demand, sum(inPlace))
  if (fits(rest, nothing)) return { shares: inPlace, started: [] }
  const taken = new Map(inPlace.map((share) => [share.node, subtract(share, shareOn(open, share.node))]))
  // The job's own nodes come first: what rounding left of the rest is not worth another connection.
  const spares = into.spares.map((spare) => ({
    ...spare,
    ...subtract(spare, taken.get(spare.node) ?? nothing),
    rank: taken.has(spare.node) ? NodeRank.own : spare.rank,
  }))
  const plan = packAll([rest], { ...into, spares }, newNode)
  if ('shortage' in plan) return null
  return { shares: mergeShares([...inPlace, ...plan.shares.flat()]), started: plan.started }
}

function shareOn(shares: readonly Share[], node: string): ResourceVector {
  return shares.find((share) => share.node === node) ?? nothing
}
