import { NOBODY } from '../protocol/placement.ts'

/**
 * Gives every slot that nobody owns to a node, so that the nodes' totals come as near as possible to their
 * weights. Slots that have an owner stay. `owners` holds indices into `weights`, or `NOBODY`; at least one weight
 * must be positive. Neighbouring slots go to one node, which keeps the placement short on the wire.
 *
 * Each node's part of the free slots is what it lacks of its due, rounded by the largest remainder (Hamilton).
 */
export function spreadSlots(owners: Uint16Array, weights: readonly number[]): Uint16Array {
  const owned = weights.map((_, node) => owners.reduce((count, owner) => count + (owner === node ? 1 : 0), 0))
  const free = owners.reduce((count, owner) => count + (owner === NOBODY ? 1 : 0), 0)
  const parts = apportion(free, lacking(owned, { weights, slots: owners.length }))
  const spread = owners.slice()
  let node = 0
  for (let slot = 0; slot < spread.length; slot++) {
    if (spread[slot] !== NOBODY) continue
    while ((parts[node] ?? 0) === 0) node++
    spread[slot] = node
    parts[node] = (parts[node] ?? 0) - 1
  }
  return spread
}

/** What each node lacks of its due; where all have theirs, the weights themselves. */
function lacking(
  owned: readonly number[],
  to: { weights: readonly number[]; slots: number },
): readonly number[] {
  const total = to.weights.reduce((sum, weight) => sum + weight, 0)
  const lacks = to.weights.map((weight, node) =>
    Math.max(0, (weight / total) * to.slots - (owned[node] ?? 0)),
  )
  return lacks.some((lack) => lack > 0) ? lacks : to.weights
}

/** Divides `count` whole things in proportion to `claims`; the sum of the parts is exactly `count`. */
function apportion(count: number, claims: readonly number[]): number[] {
  const total = claims.reduce((sum, claim) => sum + claim, 0)
  const exact = claims.map((claim) => (claim / total) * count)
  const parts = exact.map(Math.floor)
  const byRemainder = exact.map((value, node) => ({ node, rest: value % 1 })).sort((a, b) => b.rest - a.rest)
  let left = count - parts.reduce((sum, part) => sum + part, 0)
  for (const { node } of byRemainder) {
    if (left-- <= 0) break
    parts[node] = (parts[node] ?? 0) + 1
  }
  return parts
}
