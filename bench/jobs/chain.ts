import type { Entrant } from '../load/entrant.ts'
import { RANKS } from '../tasks/tally.ts'
import { JOB_MS, type Outcome, STEP_MS, sumOf } from './measure.ts'

export interface ChainSettings {
  readonly functions: number
  readonly ms: number
  readonly warmUpMs: number
}

/** Each of the functions and the caller is a process, and all of them wait. A step is the whole time, which has one handover more, divided by the functions. */
export async function runChain(functions: Entrant, run: string, settings: ChainSettings): Promise<Outcome> {
  const { functions: count, ...lanes } = settings
  const { value, cost } = await functions.costOf(() =>
    Promise.all([
      functions.run('runChains', { ...lanes, run, functions: count, outstanding: 1 }, count),
      ...Array.from({ length: count }, (_, position) => functions.run('passOn', { run, position }, position)),
    ]),
  )
  const [{ ranksMs, failures }, ...lost] = value
  const ms = ranksMs[RANKS.indexOf(50)] ?? 0
  const figures = { [JOB_MS]: ms, [STEP_MS]: ms / count }
  return { ...cost, figures, ranksMs, lost: sumOf(lost), failures }
}
