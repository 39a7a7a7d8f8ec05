import { type Fleet, NodeRank, type Plan, packAll } from '../packing/packing.ts'
import { growShares, mergeShares, type Share, scaleShares } from '../records/job.ts'
import { fits, nothing, type ResourceVector, subtract, sum } from '../sizing/node-class.ts'

/**
 * Shares on open nodes, grown or shrunk to `demand`: on their nodes as far as they fit, the rest on others. Null if there is no capacity.
 * `fleet` is only called if something grows.
 */
export function resizeShares(
  { open, demand }: { readonly open: readonly Share[]; readonly demand: ResourceVector },
  fleet: () => Fleet,
  newNode: () => string,
): { readonly shares: Share[]; readonly started: Plan['started'] } | null {
  if (fits(demand, sum(open))) return { shares: scaleShares(open, demand), started: [] }
  const into = fleet()
  const inPlace = growShares(open, demand, into.spares)
  const rest = subtract(demand, sum(inPlace))
  if (fits(rest, nothing)) return { shares: inPlace, started: [] }
  const taken = new Map(inPlace.map((share) => [share.node, subtract(share, shareOn(open, share.node))]))
  // The job's own nodes come first: a rounding remainder is not worth another connection.
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
