import { readFileSync } from 'node:fs'
import { suiteOf } from '../../report/comparison.ts'
import { REDIS } from '../../report/goals.ts'
import { callColumns, MEGABYTES_PER_SECOND, measureCalls } from '../../report/measurement.ts'

/** This file is dist/bench/suites/peers/traces.js; the traces are in the source tree. */
const folder = new URL('../../../../bench/traces/', import.meta.url)
const jobs = ['compile', 'video', 'sort'] as const
/** A second of the trace takes a millisecond, so that a run of seconds covers many lifetimes. */
const LIFETIME_SCALE_MS = 1

const full = { ms: 3_000, warmUpMs: 500 }
const tiny = { ms: 100, warmUpMs: 20 }
const OUTSTANDING = 16

let runs = 0

export const traces = suiteOf({
  summary:
    'objects with the sizes and lifetimes of a compile, a video and a sort job, against Redis and MinIO',
  systems: ['mayfly', ...REDIS, 's3'],
  rounds: { full: 3, tiny: 1 },
  columns: callColumns,
  judgedBy: MEGABYTES_PER_SECOND,
  groups: (isTiny) => [
    {
      rows: jobs.map((job) => ({
        name: `${job} at ${OUTSTANDING}`,
        measure: (entrant) =>
          measureCalls(entrant, () =>
            entrant.run('trace', {
              ...(isTiny ? tiny : full),
              outstanding: OUTSTANDING,
              run: `${entrant.system}/${++runs}`,
              objectBytes: quantilesOf(`${job}_object_bytes.csv`),
              lifetimeMs: quantilesOf(`${job}_object_lifetime_seconds.csv`).map(
                (seconds) => seconds * LIFETIME_SCALE_MS,
              ),
            }),
          ),
      })),
    },
  ],
  goals: [],
})

/** The second column of a file whose first column has evenly spaced quantiles from 0 to 1. */
function quantilesOf(file: string): number[] {
  const [, ...lines] = readFileSync(new URL(file, folder), 'utf8').trim().split('\n')
  return lines.map((line) => Number(line.split(',')[1]))
}
