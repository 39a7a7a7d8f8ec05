import type { Entrant } from '../../load/entrant.ts'
import { suiteOf } from '../../report/comparison.ts'
import { REDIS } from '../../report/goals.ts'
import { type Column, MEGABYTES_PER_SECOND, type Measurement } from '../../report/measurement.ts'

interface Settings {
  readonly mappers: number
  readonly reducers: number
  readonly objectBytes: number
  /** Processes that run the mappers, and then the reducers. */
  readonly processes: number
}

const KIB = 1024
const full: readonly Settings[] = [
  { mappers: 64, reducers: 64, objectBytes: 4 * KIB, processes: 4 },
  { mappers: 64, reducers: 64, objectBytes: 64 * KIB, processes: 4 },
]
const tiny: readonly Settings[] = [{ mappers: 4, reducers: 4, objectBytes: 4 * KIB, processes: 2 }]
/** A system runs at least one uncounted shuffle, and more until this time has passed: after a single one, the code of a fast system is still cold. */
const WARM_UP_MS = { full: 3_000, tiny: 10 }

const columns: readonly Column[] = [
  { name: 'ms', better: 'lower', digits: 0 },
  { name: 'map ms', better: 'lower', digits: 0 },
  { name: 'reduce ms', better: 'lower', digits: 0 },
  { name: MEGABYTES_PER_SECOND, better: 'higher', digits: 1 },
]

export const shuffle = suiteOf({
  summary: '64 mappers put an object for each of 64 reducers, which then get them, against Redis and MinIO',
  systems: ['mayfly', ...REDIS, 's3'],
  rounds: { full: 3, tiny: 1 },
  columns,
  judgedBy: 'ms',
  groups: (isTiny) =>
    (isTiny ? tiny : full).map((settings) => ({
      setUp: (entrant) => warmUp(entrant, settings, WARM_UP_MS[isTiny ? 'tiny' : 'full']),
      rows: [
        {
          name: `${settings.mappers} × ${settings.reducers} objects of ${settings.objectBytes / KIB} KiB`,
          measure: (entrant) => measureShuffle(entrant, settings),
        },
      ],
    })),
  goals: [
    {
      name: 'shuffle, against Redis',
      rows: () => true,
      column: 'ms',
      against: REDIS,
      atLeast: 1.5,
      reachFor: 2,
    },
    {
      name: 'shuffle, against MinIO',
      rows: () => true,
      column: 'ms',
      against: ['s3'],
      atLeast: 5,
      reachFor: 10,
    },
  ],
})

/** Starts the processes, opens their connections and compiles their code. */
async function warmUp(entrant: Entrant, settings: Settings, ms: number): Promise<void> {
  const untilMs = performance.now() + ms
  do {
    await inProcesses(entrant, 'map', settings)
    await inProcesses(entrant, 'reduce', settings)
  } while (performance.now() < untilMs)
}

async function measureShuffle(entrant: Entrant, settings: Settings): Promise<Measurement> {
  const { mappers, reducers, objectBytes } = settings
  const { value, cost } = await entrant.costOf(async () => {
    const mapMs = await inProcesses(entrant, 'map', settings)
    return { mapMs, reduceMs: await inProcesses(entrant, 'reduce', settings) }
  })
  const ms = value.mapMs + value.reduceMs
  const figures = {
    ms,
    'map ms': value.mapMs,
    'reduce ms': value.reduceMs,
    [MEGABYTES_PER_SECOND]: (2 * mappers * reducers * objectBytes) / 1000 / ms,
  }
  return { ...cost, figures, failures: [] }
}

/** Resolves with the ms until the last process is done. */
async function inProcesses(entrant: Entrant, task: 'map' | 'reduce', settings: Settings): Promise<number> {
  const { processes, ...params } = settings
  const functions = task === 'map' ? params.mappers : params.reducers
  const beganMs = performance.now()
  await Promise.all(
    Array.from({ length: processes }, (_, process) => {
      const own = Array.from({ length: functions }, (_, index) => index).filter(
        (n) => n % processes === process,
      )
      return entrant.run(task, { ...params, own }, process)
    }),
  )
  return performance.now() - beganMs
}
