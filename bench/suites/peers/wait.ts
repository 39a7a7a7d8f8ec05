import type { Entrant } from '../../load/entrant.ts'
import { suiteOf } from '../../report/comparison.ts'
import { REDIS } from '../../report/goals.ts'
import { callColumns, type Measurement, measureCalls, P50_MS } from '../../report/measurement.ts'
import type { Tallied } from '../../tasks/tally.ts'

/** `everyMs` leaves a poll on S3 enough time to begin, so that every consumer waits when the put arrives. */
const full = { handovers: 500, warmUp: 1_000, everyMs: 4 }
const tiny = { handovers: 20, warmUp: 10, everyMs: 4 }
/** Interval of the warm-up's handovers. */
const WARM_UP_EVERY_MS = 1
const waitings = [1, 64]
const OBJECT_BYTES = 1024

let runs = 0

export const wait = suiteOf({
  summary: 'from a put to the answer of the consumer that waits for it, against BLPOP and against polling S3',
  systems: ['mayfly', ...REDIS, 's3'],
  rounds: { full: 5, tiny: 1 },
  columns: callColumns.slice(2),
  judgedBy: P50_MS,
  groups: (isTiny) => [
    {
      rows: waitings.map((waiting) => ({
        name: `put to the waiting consumer's answer, ${waiting} waiting`,
        measure: (entrant) => measureHandover(entrant, { ...(isTiny ? tiny : full), waiting }),
      })),
    },
  ],
  goals: [
    {
      name: "put to the waiting consumer's answer, p50 against BLPOP",
      rows: () => true,
      column: P50_MS,
      against: REDIS,
      atLeast: 1,
      reachFor: 1 / 0.7,
    },
  ],
})

async function measureHandover(
  entrant: Entrant,
  { warmUp, ...settings }: { handovers: number; warmUp: number; everyMs: number; waiting: number },
): Promise<Measurement> {
  await handOver(entrant, { ...settings, handovers: warmUp, everyMs: WARM_UP_EVERY_MS })
  return await measureCalls(entrant, () => handOver(entrant, settings))
}

/** Consumer and producer are separate processes, driver 0 and driver 1. */
async function handOver(
  entrant: Entrant,
  settings: { handovers: number; everyMs: number; waiting: number },
): Promise<Tallied> {
  const params = { ...settings, objectBytes: OBJECT_BYTES, run: `${entrant.system}/${++runs}` }
  const [taken] = await Promise.all([entrant.run('takeAll', params, 0), entrant.run('giveAll', params, 1)])
  return taken
}
