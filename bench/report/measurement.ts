import type { SystemName } from '../clients/open.ts'
import type { Cost, Entrant } from '../load/entrant.ts'
import { RANKS, type Tallied } from '../tasks/tally.ts'
import { median } from './median.ts'

/** One round of one row for one system. */
export interface Measurement extends Cost {
  /** By column name. */
  readonly figures: Readonly<Record<string, number>>
  /** At each of `RANKS`, if calls were timed one by one. */
  readonly ranksMs?: readonly number[]
  readonly failures: readonly string[]
}

/** All rounds of one row, by system. */
export interface RowResult {
  readonly row: string
  /** Rows of one family differ only in object size. */
  readonly family?: string
  readonly objectBytes?: number
  readonly measurements: ReadonlyMap<SystemName, readonly Measurement[]>
}

export interface Column {
  readonly name: string
  readonly better: 'higher' | 'lower'
  readonly digits: number
}

export const CALLS_PER_SECOND = 'calls/s'
export const MEGABYTES_PER_SECOND = 'MB/s'
export const P50_MS = 'p50 ms'
export const P99_MS = 'p99 ms'

/** The columns of a `measureCalls` result. */
export const callColumns: readonly Column[] = [
  { name: CALLS_PER_SECOND, better: 'higher', digits: 0 },
  { name: MEGABYTES_PER_SECOND, better: 'higher', digits: 1 },
  { name: P50_MS, better: 'lower', digits: 3 },
  { name: P99_MS, better: 'lower', digits: 3 },
]

/** Has the entrant run work that tallies calls. */
export async function measureCalls(entrant: Entrant, work: () => Promise<Tallied>): Promise<Measurement> {
  const { value, cost } = await entrant.costOf(work)
  const { calls, bytes, seconds, ranksMs, failures } = value
  return {
    ...cost,
    figures: {
      [CALLS_PER_SECOND]: calls / seconds,
      [MEGABYTES_PER_SECOND]: bytes / seconds / 1e6,
      [P50_MS]: ranksMs[RANKS.indexOf(50)] ?? 0,
      [P99_MS]: ranksMs[RANKS.indexOf(99)] ?? 0,
    },
    ranksMs,
    failures,
  }
}

/** The median of a column over the rounds; undefined if the system was not measured. */
export function medianOf(result: RowResult, system: SystemName, column: string): number | undefined {
  const figures = (result.measurements.get(system) ?? []).map((each) => each.figures[column])
  const known = figures.filter((figure) => figure !== undefined)
  return known.length === 0 ? undefined : median(known)
}
