import { suiteOf } from '../../report/comparison.ts'
import { REDIS } from '../../report/goals.ts'
import { CALLS_PER_SECOND, callColumns, measureCalls } from '../../report/measurement.ts'

const KIB = 1024
const KEYS = 1_000
const full = { keys: KEYS, groups: 10, ms: 1_500, warmUpMs: 500 }
const tiny = { keys: 50, groups: 2, ms: 50, warmUpMs: 10 }
const operations = ['putMany', 'getMany'] as const
const depths = [1, 4]

export const many = suiteOf({
  summary: 'getMany and putMany of 1,000 objects of 1 KiB, against MGET, MSET and pipelines',
  systems: ['mayfly', ...REDIS, 's3'],
  rounds: { full: 5, tiny: 1 },
  columns: callColumns,
  judgedBy: CALLS_PER_SECOND,
  groups: (isTiny) => {
    const settings = isTiny ? tiny : full
    const { keys, groups } = settings
    return [
      {
        setUp: (entrant) =>
          entrant.run('fill', { objects: keys * groups, objectBytes: KIB, outstanding: 64 }),
        rows: operations.flatMap((operation) =>
          depths.map((outstanding) => ({
            name: `${operation} of ${keys} × 1 KiB at ${outstanding}`,
            measure: (entrant) =>
              measureCalls(entrant, () =>
                entrant.run('many', { ...settings, operation, outstanding, objectBytes: KIB }),
              ),
          })),
        ),
      },
    ]
  },
  goals: [
    {
      name: 'getMany and putMany, against MGET, MSET and pipelines',
      rows: () => true,
      column: CALLS_PER_SECOND,
      against: REDIS,
      atLeast: 1.5,
      reachFor: 3,
    },
  ],
})
