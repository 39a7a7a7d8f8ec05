import { policies } from '../../eviction/policies.ts'
import { type Hits, replay } from '../../eviction/replay.ts'
import { makeTrace, type Trace, type Workload, workloads } from '../../eviction/trace.ts'
import { randomOf } from '../../load/random.ts'
import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'

const SEED = 1
/** Fraction of all bytes that the job puts. */
const RAM_SHARE = 0.25
const below = ['ssd', 's3'] as const

/** Compares demotion policies by simulation, on traces with the sizes and lifetimes of Pocket's applications. */
export const eviction: Suite = {
  summary: 'compare what leaves RAM first: LRU, frequency and GDSF on the traces of three applications',
  async run({ tiny, signal, say, advance }: SuiteOptions): Promise<Report> {
    const objects = tiny ? 200 : 4000
    const rows: (string | number)[][] = []
    const goals: Goal[] = []
    for (const [index, workload] of workloads.entries()) {
      advance(index / workloads.length)
      const trace = makeTrace(workload, objects, randomOf(SEED))
      for (const tier of below) {
        signal.throwIfAborted()
        say(`${workload} above ${tier}`)
        const hits = hitsOf(trace, tier)
        for (const [policy, { bytesRatio, timeRatio }] of hits)
          rows.push([workload, tier, policy, percent(bytesRatio), percent(timeRatio)])
        goals.push(goalOf(workload, tier, hits))
      }
    }
    return {
      settings: { objects, seed: SEED, 'RAM, of all bytes put': percent(RAM_SHARE) },
      columns: ['trace', 'below RAM', 'policy', 'bytes read from RAM', 'time saved'],
      rows,
      goals,
      notes: [],
      charts: [],
      failures: [],
    }
  },
}

function hitsOf(trace: Trace, tier: (typeof below)[number]): Map<string, Hits> {
  const bytes = RAM_SHARE * trace.bytes.reduce((sum, each) => sum + each, 0)
  const names = [...policies]
  return new Map(
    names.map(([name, make]) => [name, replay(trace, { bytes, below: tier }, make(randomOf(SEED + 1)))]),
  )
}

/** The node's policy against the two policies that know less. */
function goalOf(workload: Workload, tier: string, hits: Map<string, Hits>): Goal {
  const timeOf = (policy: string): number => hits.get(policy)?.timeRatio ?? 0
  const best = Math.max(timeOf('LRU'), timeOf('frequency, blind to size'))
  const ours = timeOf('GDSF, sampled, reads known')
  return {
    name: `${workload} above ${tier}, time saved`,
    atLeast: `the better of LRU and frequency, ${percent(best)}`,
    reachFor: '–',
    measured: percent(ours),
    verdict: ours >= best ? 'holds' : 'FALLS SHORT',
  }
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(1)} %`
}
