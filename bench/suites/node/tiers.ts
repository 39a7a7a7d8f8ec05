import type { Entrant } from '../../load/entrant.ts'
import { formatBytes } from '../../report/chart.ts'
import { CALLS_PER_SECOND, type Measurement, measureCalls, P50_MS, P99_MS } from '../../report/measurement.ts'
import { median } from '../../report/median.ts'
import { findMinio, minioMissing } from '../../servers/minio.ts'
import { findRedis, redisMissing } from '../../servers/redis.ts'
import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'
import { type Sizes, startTiered, stopTiered } from '../../tiers/tiered.ts'

const KIB = 1024
const MIB = 1024 * KIB

interface Size {
  readonly objectBytes: number
  readonly ramBytes: number
  /** Reads of one round. */
  readonly reads: number
}

interface Settings {
  readonly rounds: number
  readonly ms: number
  readonly sizes: readonly Size[]
}

const full: Settings = {
  rounds: 3,
  ms: 700,
  sizes: [
    { objectBytes: KIB, ramBytes: 4 * MIB, reads: 4_000 },
    { objectBytes: 64 * KIB, ramBytes: 64 * MIB, reads: 4_000 },
    { objectBytes: MIB, ramBytes: 64 * MIB, reads: 1_000 },
  ],
}
const tiny: Settings = {
  rounds: 1,
  ms: 30,
  sizes: [{ objectBytes: 64 * KIB, ramBytes: 8 * MIB, reads: 200 }],
}

const DATA_PER_RAM = 4
/** Fraction of the RAM: the rest is for keys, the index and the space that the watermarks keep free. */
const WORKING_SET = 0.8
const OUTSTANDING = 16
/** Calls under way for one object that was just put and is below RAM. */
const HERD = 64
const TIME_RATIO_MAX = 1.5
/** The reads of a job: 5 % of any object and the others of its working set, or all of its working set; and the rounds before the first counted one. */
const mixes = [
  { name: 'working set, 5 % of any', hotShare: 0.95, warmUps: 2 },
  { name: 'working set', hotShare: 1, warmUps: 1 },
] as const
const baseline = 'Mayfly, all RAM'
const judged = 'Mayfly, RAM and SSD'
const mayEvict = 'Redis, allkeys-lru'

/** One round of the job's reads. */
interface JobRound {
  readonly ms: number
  readonly lost: number
}

/** A job four times larger than RAM on Mayfly's tiers, on a Redis with eviction, and on S3 alone. */
export const tiers: Suite = {
  summary: 'a job four times larger than RAM: tiers beside all RAM, Redis that evicts, and S3 alone',
  async run({ tiny: isTiny, only, signal, say, advance }: SuiteOptions): Promise<Report> {
    const settings = isTiny ? tiny : full
    const missing = [
      findMinio() === null ? minioMissing : null,
      findRedis() === null ? redisMissing : null,
    ].filter((line) => line !== null)
    const rows: string[][] = []
    const goals: Goal[] = []
    const failures: string[] = []
    for (const [index, each] of (missing.length > 0 ? [] : settings.sizes).entries()) {
      const size = formatBytes(each.objectBytes)
      if (only !== undefined && !size.includes(only)) continue
      advance(index / settings.sizes.length)
      say(`${size}: starting and filling`)
      const measured = await measureSize(each, settings, { signal, say })
      rows.push(...[...measured].map(([name, of]) => rowOf(size, name, of)))
      goals.push(...mixes.map(({ name }) => goalOf(size, name, measured)))
      for (const [name, { failed }] of measured)
        failures.push(...failed.map((what) => `${size}, ${name}: ${what}`))
    }
    return {
      settings: { rounds: settings.rounds, 'working set, of RAM': WORKING_SET },
      columns: [
        ...[
          'bytes',
          'system',
          'fill s',
          `herd of ${HERD}, ms`,
          'get/s',
          'get p50 ms',
          'get p99 ms',
          'put/s',
          'put p99 ms',
        ],
        ...mixes.map(({ name }) => `${name}, reads/s`),
        ...['lost reads', 'client CPU s', 'server CPU s'],
      ],
      rows,
      goals,
      notes: missing,
      failures,
      charts: [],
    }
  },
}

/** All results of one system at one size. */
interface Measured {
  readonly fillMs: number
  /** Until every call of a herd is answered. */
  readonly herdMs: number
  readonly gets: Measurement[]
  readonly puts: Measurement[]
  /** By name of the mix. */
  readonly job: ReadonlyMap<string, JobRound[]>
  readonly reads: number
  readonly failed: string[]
}

async function measureSize(
  { objectBytes, ramBytes, reads }: Size,
  { rounds, ms }: Settings,
  { signal, say }: Pick<SuiteOptions, 'signal' | 'say'>,
): Promise<Map<string, Measured>> {
  const sizes: Sizes = { ramBytes, dataBytes: DATA_PER_RAM * ramBytes }
  const objects = sizes.dataBytes / objectBytes
  const load = { objects, objectBytes, outstanding: OUTSTANDING }
  const hot = Math.floor((WORKING_SET * ramBytes) / objectBytes)
  const entrants = await startTiered(sizes)
  const measured = new Map<string, Measured>()
  try {
    for (const [name, entrant] of entrants) {
      signal.throwIfAborted()
      const beganMs = performance.now()
      await entrant.run('fill', load)
      const fillMs = performance.now() - beganMs
      const herd = { ...load, outstanding: HERD, hot: 1, hotShare: 1, reads: HERD }
      const { ms: herdMs } = await entrant.run('reads', herd)
      const job = new Map(mixes.map((mix) => [mix.name, []]))
      measured.set(name, { fillMs, herdMs, gets: [], puts: [], job, reads, failed: [] })
    }
    for (let round = 0; round < rounds; round++) {
      say(`${formatBytes(objectBytes)}: round ${round + 1} of ${rounds}`)
      const names = [...measured.keys()]
      const first = round % names.length
      for (const name of [...names.slice(first), ...names.slice(0, first)]) {
        signal.throwIfAborted()
        const into = measured.get(name) as Measured
        const entrant = entrants.get(name) as Entrant
        // The puts of the round before have demoted the working set; the first reads promote it again.
        for (const mix of mixes) {
          const params = { ...load, hot, hotShare: mix.hotShare }
          await entrant.run('reads', { ...params, reads: mix.warmUps * reads })
          into.job.get(mix.name)?.push(await entrant.run('reads', { ...params, reads }))
        }
        if (name === mayEvict) continue
        for (const [operation, list] of [
          ['get', into.gets],
          ['put', into.puts],
        ] as const) {
          const params = { ...load, ms, warmUpMs: 0, operation }
          const measurement = await measureCalls(entrant, () => entrant.run('calls', params))
          list.push(measurement)
          into.failed.push(...measurement.failures)
        }
      }
    }
    for (const [name, { job, failed }] of measured) {
      const lost = lostIn(job)
      if (lost > 0 && name !== mayEvict) failed.push(`${lost} reads found nothing`)
    }
    return measured
  } finally {
    await stopTiered(entrants)
  }
}

function rowOf(size: string, name: string, { fillMs, herdMs, gets, puts, job, reads }: Measured): string[] {
  const of = (list: readonly Measurement[], column: string, digits: number): string =>
    list.length === 0 ? '–' : median(list.map(({ figures }) => figures[column] ?? 0)).toFixed(digits)
  const cpu = (column: 'clientCpuSeconds' | 'serverCpuSeconds'): string =>
    gets.length === 0 ? '–' : median([...gets, ...puts].map((each) => each[column])).toFixed(2)
  return [
    size,
    name,
    (fillMs / 1000).toFixed(1),
    herdMs.toFixed(0),
    ...[of(gets, CALLS_PER_SECOND, 0), of(gets, P50_MS, 2), of(gets, P99_MS, 2)],
    ...[of(puts, CALLS_PER_SECOND, 0), of(puts, P99_MS, 2)],
    ...mixes.map((mix) => ((1000 * reads) / medianMs(job.get(mix.name))).toFixed(0)),
    `${((100 * lostIn(job)) / (reads * roundsOf(job).length)).toFixed(1)} %`,
    ...[cpu('clientCpuSeconds'), cpu('serverCpuSeconds')],
  ]
}

function goalOf(size: string, mix: string, measured: ReadonlyMap<string, Measured>): Goal {
  const of = (system: string): number => medianMs(measured.get(system)?.job.get(mix))
  const ratio = of(judged) / of(baseline)
  return {
    name: `${size}, ${mix}, ${judged}`,
    atLeast: `at most ${TIME_RATIO_MAX}× the time of all RAM`,
    reachFor: '–',
    measured: `${ratio.toFixed(2)}×`,
    verdict: ratio <= TIME_RATIO_MAX ? 'holds' : 'FALLS SHORT',
  }
}

function lostIn(job: Measured['job']): number {
  return roundsOf(job).reduce((sum, { lost }) => sum + lost, 0)
}

/** Rounds of all mixes. */
function roundsOf(job: Measured['job']): JobRound[] {
  return [...job.values()].flat()
}

function medianMs(rounds: readonly JobRound[] = []): number {
  return median(rounds.map(({ ms }) => ms))
}
