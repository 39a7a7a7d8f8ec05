import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Job, openJob, type RegisteredJob } from 'mayfly'
import {
  type FloodResult,
  type FloodSettings,
  floodCells,
  floodColumns,
  floodGoal,
  runFlood,
} from '../../enforcement/floods.ts'
import { Cluster } from '../../servers/cluster.ts'
import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'

interface Settings {
  readonly rounds: number
  /** Throughput of the only node: far below what it can do, so that the limit is measured and not the machine. */
  readonly bytesPerSecond: number
  readonly objectBytes: number
  readonly flooders: number
  /** Calls under way in each of the flooding jobs. */
  readonly floodLanes: number
  readonly lanes: number
  readonly windowMs: number
}

const fullFloods: FloodSettings = {
  kinds: ['get', 'put', 'append', 'stat', 'statOfRuns', 'getMany', 'putMany', 'deleteMany', 'list'],
  rounds: 7,
  lanes: 256,
  windowMs: 2_000,
}
const tinyFloods: FloodSettings = {
  ...fullFloods,
  rounds: 1,
  lanes: 16,
  windowMs: 200,
}

const full: Settings = {
  rounds: 3,
  bytesPerSecond: 100_000_000,
  objectBytes: 64 * 1024,
  flooders: 8,
  floodLanes: 64,
  lanes: 16,
  windowMs: 5_000,
}
const tiny: Settings = { ...full, rounds: 1, bytesPerSecond: 20_000_000, flooders: 2, windowMs: 1_000 }

const SHARE_MIN = 0.95
const MIB = 2 ** 20

/** Bytes per second, and the errors. */
interface Window {
  readonly bytesPerSecond: number
  readonly failures: readonly string[]
}

interface Round {
  readonly floodAlone: Window
  readonly reservedAlone: Window
  readonly reserved: Window
  readonly flood: Window
}

/** The part of the suite before the floods. */
const FLOODS_FROM = 0.4

export const enforcement: Suite = {
  summary:
    'a job that reserved half of a node keeps it while another floods the node, and is answered as fast',
  run: async ({ tiny: isTiny, only, signal, say, advance }: SuiteOptions): Promise<Report> => {
    const settings = isTiny ? tiny : full
    const rounds: Round[] = []
    // With `only` the floods alone whose name contains it.
    for (let round = 1; only === undefined && round <= settings.rounds; round++) {
      signal.throwIfAborted()
      say(`round ${round} of ${settings.rounds}`)
      advance(((round - 1) / settings.rounds) * FLOODS_FROM)
      rounds.push(await runRound(settings))
    }
    const floodSettings = isTiny ? tinyFloods : fullFloods
    const kinds = floodSettings.kinds.filter((kind) => kind.includes(only ?? ''))
    const floods: FloodResult[] = []
    for (const [index, kind] of kinds.entries()) {
      signal.throwIfAborted()
      say(`a flood of ${kind}`)
      advance(FLOODS_FROM + (index / kinds.length) * (1 - FLOODS_FROM))
      floods.push(await runFlood(kind, floodSettings))
    }
    return {
      settings: { ...settings, floodingLanes: floodSettings.lanes, floodRounds: floodSettings.rounds },
      columns: ['who', 'round', 'MB/s', ...floodColumns],
      rows: [
        ...rounds.flatMap(rowsOf),
        ...floods.map((flood) => [
          `bystander beside a flood of ${flood.kind}`,
          'median',
          '',
          ...floodCells(flood),
        ]),
      ],
      goals: [...(rounds.length > 0 ? goalsOf(rounds, settings) : []), ...floods.map(floodGoal)],
      notes: [],
      charts: [],
      failures: [
        ...rounds.flatMap((round) => Object.values(round).flatMap(({ failures }) => failures)),
        ...floods.flatMap(({ failures }) => failures),
      ],
      measurements: floods,
    }
  },
}

/** A cluster of one node: each job alone, then both together. */
async function runRound(settings: Settings): Promise<Round> {
  const { bytesPerSecond, objectBytes, flooders, floodLanes, lanes, windowMs } = settings
  const cluster = await Cluster.start({ ramBytes: 256 * MIB, nodesMax: 1, bytesPerSecond })
  const jobs: (Job | RegisteredJob)[] = []
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    const capacityBytes = 16 * MIB
    const half = { capacityBytes, peakBytesPerSecond: bytesPerSecond / 2 }
    const reserving = await mayfly.registerJob('reserved', half)
    const flooding = await mayfly.registerJob('flood', { capacityBytes, peakBytesPerSecond: 1 })
    const crowd = await Promise.all(Array.from({ length: flooders }, () => openJob(flooding.ticket)))
    jobs.push(reserving, flooding, ...crowd)
    const object = Buffer.alloc(objectBytes, 7)
    await Promise.all([reserving.put('k', object), flooding.put('k', object)])
    const flood = (): Promise<Window> => readAll(crowd, { lanes: floodLanes, ms: windowMs })
    const read = (): Promise<Window> => readAll([reserving], { lanes, ms: windowMs })
    await pause()
    const floodAlone = await flood()
    await pause()
    const reservedAlone = await read()
    const [together, reserved] = await Promise.all([flood(), read()])
    return { floodAlone, reservedAlone, reserved, flood: together }
  } finally {
    await Promise.all(jobs.map((job) => job.close()))
    await cluster.stop()
  }
}

/** Longer than an idle job counts as active. */
function pause(): Promise<void> {
  return sleep(1_500)
}

/** Gets the object repeatedly over every connection. */
async function readAll(jobs: readonly Job[], { lanes, ms }: { lanes: number; ms: number }): Promise<Window> {
  const began = performance.now()
  const failures: string[] = []
  let bytes = 0
  const lane = async (job: Job): Promise<void> => {
    while (performance.now() - began < ms) {
      try {
        const { length } = await job.get('k')
        bytes += length
      } catch (error) {
        failures.push(String(error))
      }
    }
  }
  await Promise.all(jobs.flatMap((job) => Array.from({ length: lanes }, () => lane(job))))
  return { bytesPerSecond: (bytes * 1000) / (performance.now() - began), failures }
}

function rowsOf(round: Round, index: number): string[][] {
  const row = (who: string, { bytesPerSecond }: Window): string[] => [
    who,
    String(index + 1),
    (bytesPerSecond / 1e6).toFixed(1),
    ...floodColumns.map(() => ''),
  ]
  return [
    row('flooder alone', round.floodAlone),
    row('job with half, alone', round.reservedAlone),
    row('job with half, beside the flooder', round.reserved),
    row('flooder beside it', round.flood),
  ]
}

function goalsOf(rounds: readonly Round[], { bytesPerSecond }: Settings): Goal[] {
  const share = Math.min(...rounds.map(({ reserved }) => reserved.bytesPerSecond)) / (bytesPerSecond / 2)
  const alone = Math.min(...rounds.map(({ floodAlone }) => floodAlone.bytesPerSecond)) / bytesPerSecond
  const percent = (ratio: number): string => `${(ratio * 100).toFixed(0)} %`
  return [
    {
      name: 'what a job gets of its reserved half while another floods, in the worst round',
      atLeast: percent(SHARE_MIN),
      reachFor: '–',
      measured: percent(share),
      verdict: share >= SHARE_MIN ? 'holds' : 'FALLS SHORT',
    },
    {
      name: "what a job that reserved nothing gets of the node's throughput when it is alone",
      atLeast: percent(SHARE_MIN),
      reachFor: '–',
      measured: percent(alone),
      verdict: alone >= SHARE_MIN ? 'holds' : 'FALLS SHORT',
    },
  ]
}
