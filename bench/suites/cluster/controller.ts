import { randomOf } from '../../load/random.ts'
import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'
import { mixes } from './controller-mixes.ts'
import {
  lowerBound,
  type Packed,
  packByBestFit,
  packByFirstFitDecreasing,
  packWithMayfly,
  packWithPocket,
} from './controller-packers.ts'

const ABOVE_BOUND_MAX = 1.1
const DECISION_MS_MAX = 10

interface Settings {
  readonly jobs: number
  readonly seeds: number
}

const full: Settings = { jobs: 1_000, seeds: 5 }
const tiny: Settings = { jobs: 50, seeds: 1 }

const packers = {
  mayfly: packWithMayfly,
  'best fit': packByBestFit,
  'first fit decreasing': packByFirstFitDecreasing,
  pocket: packWithPocket,
}
type Packer = keyof typeof packers
const names = Object.keys(packers) as Packer[]

/** Results of one mix over all seeds. */
interface Outcome {
  readonly mix: string
  readonly bound: number
  readonly packed: Readonly<Record<Packer, readonly Packed[]>>
}

export const controller: Suite = {
  summary: 'how tightly 1,000 jobs are packed, beside the lower bound and three other rules',
  run: async ({ tiny: isTiny, signal, say, advance }: SuiteOptions): Promise<Report> => {
    const settings = isTiny ? tiny : full
    const outcomes = Object.keys(mixes).map((mix, index, all) => {
      signal.throwIfAborted()
      say(`mix: ${mix}`)
      advance(index / all.length)
      return pack(mix, settings)
    })
    return {
      settings: { ...settings },
      columns: ['mix', 'lower bound', ...names, 'nodes per job', 'p99 ms per decision'],
      rows: outcomes.map(rowOf),
      goals: goalsOf(outcomes),
      notes: [],
      charts: [],
      failures: [],
    }
  },
}

function pack(mix: string, { jobs, seeds }: Settings): Outcome {
  const draw = mixes[mix]
  if (draw === undefined) throw new Error(`there is no mix '${mix}'`)
  const runs = Array.from({ length: seeds }, (_, seed) => {
    const random = randomOf(seed + 1)
    return Array.from({ length: jobs }, () => draw(random))
  })
  const packed = {} as Record<Packer, Packed[]>
  for (const name of names) packed[name] = runs.map((demands) => packers[name](demands))
  const bound = runs.reduce((sum, demands) => sum + lowerBound(demands), 0)
  return { mix, bound, packed }
}

function rowOf(outcome: Outcome): string[] {
  const { mayfly } = outcome.packed
  const perJob = mayfly.reduce((sum, { nodesPerJob }) => sum + nodesPerJob, 0) / mayfly.length
  return [
    outcome.mix,
    String(outcome.bound),
    ...names.map((name) => `${nodesOf(outcome, name)} (${percent(ratioOf(outcome, name))})`),
    perJob.toFixed(2),
    percentile99(mayfly.flatMap(({ decisionMs }) => [...decisionMs])).toFixed(2),
  ]
}

function goalsOf(outcomes: readonly Outcome[]): Goal[] {
  const decisionMs = percentile99(
    outcomes.flatMap(({ packed }) => packed.mayfly.flatMap((run) => [...run.decisionMs])),
  )
  return [
    ...outcomes.map((outcome) => {
      const ratio = ratioOf(outcome, 'mayfly')
      return goal(`${outcome.mix}: nodes over the lower bound`, ratio <= ABOVE_BOUND_MAX, {
        atLeast: `at most ${percent(ABOVE_BOUND_MAX)}`,
        measured: percent(ratio),
      })
    }),
    ...names.slice(1).map((name) => {
      const beaten = outcomes.filter((outcome) => nodesOf(outcome, 'mayfly') > nodesOf(outcome, name))
      const by = beaten.map(
        (outcome) => `${outcome.mix} ${nodesOf(outcome, 'mayfly')} > ${nodesOf(outcome, name)}`,
      )
      return goal(`no more nodes than ${name}, on every mix`, beaten.length === 0, {
        atLeast: 'never more',
        measured: by.join(', ') || 'never more',
      })
    }),
    goal('p99 of one decision', decisionMs <= DECISION_MS_MAX, {
      atLeast: `at most ${DECISION_MS_MAX} ms`,
      measured: `${decisionMs.toFixed(2)} ms`,
    }),
  ]
}

function goal(name: string, held: boolean, figures: { atLeast: string; measured: string }): Goal {
  return { name, ...figures, reachFor: '–', verdict: held ? 'holds' : 'FALLS SHORT' }
}

function nodesOf({ packed }: Outcome, name: Packer): number {
  return packed[name].reduce((sum, { nodes }) => sum + nodes, 0)
}

function ratioOf(outcome: Outcome, name: Packer): number {
  return nodesOf(outcome, name) / outcome.bound
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`
}

function percentile99(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? 0
}
