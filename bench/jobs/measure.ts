import { availableParallelism } from 'node:os'
import { Entrant } from '../load/entrant.ts'
import type { Column, Measurement } from '../report/measurement.ts'
import type { MayflyServer } from '../servers/mayfly.ts'
import type { Server } from '../servers/server.ts'
import { startMinioWithBucket } from '../systems.ts'
import type { Params, Result, TaskName } from '../tasks/tasks.ts'

export const JOB_MS = 'ms'
const MAP_MS = 'map ms'
const REDUCE_MS = 'reduce ms'
export const STEP_MS = 'ms a step'
export const INPUT_MB = 'input MB'
const COST = 'MiB s'
const LOST = 'lost'

export const jobColumns: readonly Column[] = [
  { name: JOB_MS, better: 'lower', digits: 1 },
  { name: MAP_MS, better: 'lower', digits: 0 },
  { name: REDUCE_MS, better: 'lower', digits: 0 },
  { name: STEP_MS, better: 'lower', digits: 3 },
  { name: INPUT_MB, better: 'higher', digits: 1 },
  { name: COST, better: 'lower', digits: 3 },
  { name: LOST, better: 'lower', digits: 0 },
]

/** What a job was measured to be. */
export interface Outcome extends Measurement {
  readonly lost: number
}

export type RunJob = (functions: Entrant, run: string) => Promise<Outcome>

/** A function needs a core, so a platform of this machine runs as many at a time. */
export const WORKERS = availableParallelism()

const MIB = 2 ** 20
let jobs = 0

/**
 * Runs a job in processes of its own, after a small one that warms them up. A job of Mayfly pays for what it has reserved at its end; any other
 * system has to have RAM or disk for `capacityBytes`, at the same price.
 */
export async function measureJob(
  entrant: Entrant,
  capacityBytes: number,
  { warmUp, run }: { warmUp?: RunJob; run: RunJob },
): Promise<Measurement> {
  const id = `job-${++jobs}`
  const place = await placeOf(entrant, id, capacityBytes)
  const functions = new Entrant(entrant.system, place.server)
  try {
    const warmed = await warmUp?.(functions, `${id}/warm-up`)
    const outcome = await run(functions, id)
    const lost = (warmed?.lost ?? 0) + outcome.lost
    const cost = ((await place.mebibytes()) * (outcome.figures[JOB_MS] ?? 0)) / 1000
    return {
      ...outcome,
      figures: { ...outcome.figures, [COST]: cost, [LOST]: lost },
      failures: [
        ...(lost === 0 ? [] : [`${lost} objects were lost`]),
        ...(warmed?.failures ?? []),
        ...outcome.failures,
      ],
    }
  } finally {
    await functions.endDrivers()
    await place.end()
  }
}

/** Where the objects of one job are. */
interface Place {
  readonly server: Server
  /** What the job pays for. */
  mebibytes(): Promise<number>
  end(): Promise<unknown>
}

async function placeOf({ system, server }: Entrant, id: string, capacityBytes: number): Promise<Place> {
  const mebibytes = async (): Promise<number> => capacityBytes / MIB
  if (system === 'mayfly') {
    // Under a name of its own, so that it learns nothing from other jobs.
    const job = await (server as MayflyServer).mayfly.registerJob(id, { capacityBytes })
    return {
      server: { ...server, target: job.ticket },
      // The price of the node class is one for each MiB.
      mebibytes: async () => (await job.info()).pricePerHour,
      end: () => job.deregister(),
    }
  }
  if (system === 's3') {
    // MinIO frees deleted objects after five minutes: several jobs together would not fit into RAM.
    const own = await startMinioWithBucket()
    return { server: own, mebibytes, end: () => own.stop() }
  }
  return { server, mebibytes, end: async () => undefined }
}

/** Runs the functions from 0 to `count` - 1, each in the next process that is free. */
export async function runStage<Name extends TaskName>(
  functions: Entrant,
  name: Name,
  { count, paramsOf }: { count: number; paramsOf: (number: number) => Params<Name> },
): Promise<Result<Name>[]> {
  const results = new Array<Result<Name>>(count)
  let next = 0
  const worker = async (process: number): Promise<void> => {
    while (next < count) {
      const number = next++
      results[number] = await functions.run(name, paramsOf(number), process)
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, (_, process) => worker(process)))
  return results
}

interface MapReduce {
  /** Runs all mappers; resolves with how many objects each has missed. */
  readonly map: () => Promise<number[]>
  /** The same of the reducers, which run if the mappers have missed none. */
  readonly reduce: () => Promise<number[]>
  readonly inputBytes: number
}

/** Runs and measures two stages. */
export async function measureMapReduce(
  functions: Entrant,
  { map, reduce, inputBytes }: MapReduce,
): Promise<Omit<Outcome, 'failures'>> {
  const { value, cost } = await functions.costOf(async () => {
    const beganMs = performance.now()
    const mapped = sumOf(await map())
    const mapMs = performance.now() - beganMs
    const reduced = mapped === 0 ? sumOf(await reduce()) : 0
    return { ms: performance.now() - beganMs, mapMs, lost: mapped + reduced }
  })
  const { ms, mapMs, lost } = value
  const figures = {
    [JOB_MS]: ms,
    [MAP_MS]: mapMs,
    [REDUCE_MS]: ms - mapMs,
    [INPUT_MB]: inputBytes / 1e6,
  }
  return { ...cost, figures, lost }
}

export function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0)
}
