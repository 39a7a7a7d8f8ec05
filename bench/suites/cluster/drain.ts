import { Latencies } from '../../report/latencies.ts'
import { median } from '../../report/median.ts'
import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'
import { type DrainSettings, type Round, runRound } from './drain-round.ts'

/** 1 GiB of 64 KiB objects on each of two nodes, one of which is drained. */
const full: DrainSettings = {
  rounds: 3,
  objects: 32_768,
  objectBytes: 65_536,
  clients: 3,
  lanes: 2,
  baselineMs: 8_000,
}
const tiny: DrainSettings = {
  rounds: 1,
  objects: 512,
  objectBytes: 16_384,
  clients: 2,
  lanes: 1,
  baselineMs: 1_000,
}

const PAUSE_MS_MAX = 50
const OTHERS_RATIO_MIN = 0.8
const REPAIR_MS_MAX = 1_000

export const drain: Suite = {
  summary: 'a node that holds 1 GiB is drained under full load, and another one dies',
  run: async ({ tiny: isTiny, signal, say, advance }: SuiteOptions): Promise<Report> => {
    const settings = isTiny ? tiny : full
    const rounds: Round[] = []
    for (let round = 1; round <= settings.rounds; round++) {
      signal.throwIfAborted()
      say(`round ${round} of ${settings.rounds}`)
      advance((round - 1) / settings.rounds)
      rounds.push(await runRound(settings, say))
    }
    return {
      settings: { ...settings },
      columns: ['round', 'calls', 'per second', 'p50 ms', 'p99 ms', 'p999 ms', 'max ms', ''],
      rows: rounds.flatMap(rowsOf),
      goals: goalsOf(rounds),
      notes: [],
      charts: [],
      failures: rounds.flatMap(({ problems }) => problems),
    }
  },
}

function rowsOf(round: Round, index: number): string[][] {
  const { baseline, during } = round
  const drained = `${round.drainedMiB.toFixed(0)} MiB in ${(round.drainMs / 1000).toFixed(1)} s`
  return [
    ['baseline, drained node', baseline.moving, ''],
    ['baseline, other node', baseline.others, ''],
    ['drain, drained node', during.moving, `${drained}, ${mebibytesPerSecond(round).toFixed(0)} MiB/s`],
    ['drain, other node', during.others, `${(othersRatio(round) * 100).toFixed(0)} % of the baseline`],
    [
      'puts after a death',
      new Latencies(round.repairMs, 1),
      `${round.repairMs.length} keys of the dead node`,
    ],
  ].map(([name, latencies, note]) => {
    const cells = (latencies as Latencies).cells()
    return [String(index + 1), name as string, ...cells, note as string]
  })
}

/** Stalls and repairs are judged by the worst round, the ratio by the median. */
function goalsOf(rounds: readonly Round[]): Goal[] {
  const pauseMs = Math.max(...rounds.map(({ during }) => during.moving.percentile(99)))
  const ratio = median(rounds.map(othersRatio))
  const repairMs = Math.max(...rounds.map((round) => Math.min(...round.repairMs)))
  return [
    goal('p99 of calls to the drained node during the drain', pauseMs <= PAUSE_MS_MAX, {
      atLeast: `at most ${PAUSE_MS_MAX} ms`,
      measured: `${pauseMs.toFixed(1)} ms`,
    }),
    goal('calls to the other node during the drain', ratio >= OTHERS_RATIO_MIN, {
      atLeast: `at least ${OTHERS_RATIO_MIN * 100} % of the baseline`,
      measured: `${(ratio * 100).toFixed(0)} %`,
    }),
    goal('first new put after a node was killed', repairMs <= REPAIR_MS_MAX, {
      atLeast: `within ${REPAIR_MS_MAX} ms`,
      measured: `${repairMs.toFixed(0)} ms`,
    }),
  ]
}

function goal(name: string, held: boolean, figures: { atLeast: string; measured: string }): Goal {
  return { name, ...figures, reachFor: '–', verdict: held ? 'holds' : 'FALLS SHORT' }
}

function othersRatio({ baseline, during }: Round): number {
  return during.others.callsPerSecond / baseline.others.callsPerSecond
}

function mebibytesPerSecond({ drainedMiB, drainMs }: Round): number {
  return (drainedMiB * 1000) / drainMs
}
