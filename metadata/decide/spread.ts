/**
 * Apportions `slots` by weight with the largest-remainder method (Hamilton). The sum is exactly `slots`; all zero if no weight is positive.
 */
export function apportion(slots: number, weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  if (total === 0) return weights.map(() => 0)
  const exact = weights.map((weight) => (weight / total) * slots)
  const parts = exact.map(Math.floor)
  const byRemainder = exact.map((value, node) => ({ node, rest: value % 1 })).sort((a, b) => b.rest - a.rest)
  let left = slots - parts.reduce((sum, part) => sum + part, 0)
  for (const { node } of byRemainder) {
    if (left-- <= 0) break
    parts[node] = (parts[node] ?? 0) + 1
  }
  return parts
}

/**
 * Divides `free` slots among nodes that have `owned` slots and should have `due`. Nodes below their due are filled first, in proportion to
 * what they lack; if none is below, the division follows the dues.
 */
export function divide(free: number, nodes: { owned: readonly number[]; due: readonly number[] }): number[] {
  const lacks = nodes.due.map((due, node) => Math.max(0, due - (nodes.owned[node] ?? 0)))
  return apportion(free, lacks.some((lack) => lack > 0) ? lacks : nodes.due)
}
