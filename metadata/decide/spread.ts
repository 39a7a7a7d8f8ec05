/**
 * How many of `slots` each of the weights is due, rounded by the largest remainder (Hamilton); the sum is exactly
 * `slots`. All zero where no weight is positive.
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
 * Divides `free` things among nodes that have `owned` and are due `due`, so that each comes as near to its due as
 * possible: what a node lacks comes first, in proportion; where nobody lacks anything, by the dues themselves.
 */
export function divide(free: number, nodes: { owned: readonly number[]; due: readonly number[] }): number[] {
  const lacks = nodes.due.map((due, node) => Math.max(0, due - (nodes.owned[node] ?? 0)))
  return apportion(free, lacks.some((lack) => lack > 0) ? lacks : nodes.due)
}
