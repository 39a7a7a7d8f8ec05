import type { SystemName } from '../clients/open.ts'
import type { Goal, Verdict } from '../suite.ts'
import { type Column, medianOf, type RowResult } from './measurement.ts'

/** A goal, judged by the worst of its rows. */
export type GoalSpec = RatioGoal | BoundGoal

interface GoalBase {
  readonly name: string
  readonly rows: (row: string) => boolean
  readonly column: string
}

/** How many times as good Mayfly is as the best other system; good is more calls or less time. */
interface RatioGoal extends GoalBase {
  readonly against: readonly SystemName[]
  readonly atLeast?: number
  readonly reachFor?: number
}

/** An upper bound on Mayfly's figure alone. */
interface BoundGoal extends GoalBase {
  readonly unit: string
  readonly atMost?: number
  readonly reachFor?: number
}

/** The libraries of Node for Redis and Valkey: the best of them counts in each row. */
export const REDIS = [
  'ioredis',
  'ioredis pipelining',
  'node-redis',
  'iovalkey',
  'valkey-glide',
] as const satisfies SystemName[]

/** Whether the rows meet a goal; null if `--only` left out every row of the goal. */
export function judge(
  spec: GoalSpec,
  results: readonly RowResult[],
  columns: readonly Column[],
): Goal | null {
  const about = results.filter(({ row }) => spec.rows(row))
  if (about.length === 0) return null
  const column = columns.find(({ name }) => name === spec.column)
  if (column === undefined) throw new Error(`there is no column ${spec.column}`)
  return 'against' in spec ? judgeRatio(spec, about, column) : judgeBound(spec, about)
}

function judgeRatio(spec: RatioGoal, results: readonly RowResult[], column: Column): Goal {
  const ratios = results.map((result) => ({
    row: result.row,
    value: ratioToBest(result, column, spec.against)?.ratio,
  }))
  const show = (ratio: number | undefined): string => (ratio === undefined ? '–' : `${ratio.toFixed(2)}×`)
  const worst = worstOf(ratios, (a, b) => a < b)
  return {
    name: spec.name,
    atLeast: show(spec.atLeast),
    reachFor: show(spec.reachFor),
    measured: worst === null ? '–' : `${show(worst.value)} (${worst.row})`,
    verdict: verdictOf(worst?.value, {
      holds: spec.atLeast,
      reaches: spec.reachFor,
      isMet: (value, bound) => value >= bound,
    }),
  }
}

function judgeBound(spec: BoundGoal, results: readonly RowResult[]): Goal {
  const values = results.map((result) => ({
    row: result.row,
    value: medianOf(result, 'mayfly', spec.column),
  }))
  const show = (bound: number | undefined): string => (bound === undefined ? '–' : `${bound} ${spec.unit}`)
  const worst = worstOf(values, (a, b) => a > b)
  return {
    name: spec.name,
    atLeast: show(spec.atMost),
    reachFor: show(spec.reachFor),
    measured: worst === null ? '–' : `${worst.value.toFixed(2)} ${spec.unit} (${worst.row})`,
    verdict: verdictOf(worst?.value, {
      holds: spec.atMost,
      reaches: spec.reachFor,
      isMet: (value, bound) => value <= bound,
    }),
  }
}

/** How many times as good Mayfly is as the best other system, and the name of that system. */
export function ratioToBest(
  result: RowResult,
  column: Column,
  others: readonly SystemName[],
): { ratio: number; best: SystemName } | undefined {
  const own = medianOf(result, 'mayfly', column.name)
  if (own === undefined) return undefined
  const ratios = others.flatMap((best) => {
    const figure = medianOf(result, best, column.name)
    if (figure === undefined) return []
    return [{ best, ratio: column.better === 'higher' ? own / figure : figure / own }]
  })
  return ratios.sort((a, b) => a.ratio - b.ratio)[0]
}

/** Null if a row has no value: a goal with a row that was not measured is not met. */
function worstOf(
  values: readonly { row: string; value: number | undefined }[],
  isWorse: (a: number, b: number) => boolean,
): { row: string; value: number } | null {
  let worst: { row: string; value: number } | null = null
  for (const { row, value } of values) {
    if (value === undefined) return null
    if (worst === null || isWorse(value, worst.value)) worst = { row, value }
  }
  return worst
}

function verdictOf(
  value: number | undefined,
  { holds, reaches, isMet }: Bounds & { isMet: (value: number, bound: number) => boolean },
): Verdict {
  if (value === undefined) return 'not measured'
  if (holds !== undefined && !isMet(value, holds)) return 'FALLS SHORT'
  if (reaches !== undefined && isMet(value, reaches)) return 'reached'
  return holds === undefined ? 'not reached' : 'holds'
}

interface Bounds {
  readonly holds: number | undefined
  readonly reaches: number | undefined
}
