import { SeededRandom } from '../world/random.ts'
import { MayflyPolicy } from './mayfly-policy.ts'
import { type Played, play } from './play.ts'
import { PocketPolicy } from './pocket-policy.ts'
import { REDIS_MACHINE, redisPrice, S3_GB_PRICE, S3_GET_PRICE, S3_PUT_PRICE } from './prices.ts'
import { type Application, drawJobs, type SimulatedJob, sizes } from './workload.ts'

/** Seconds per function of the sort with 250 functions, with S3 and with Pocket (OSDI'18): the only figures on S3's speed in the paper. */
const S3_SLOW_DOWN = (21 + 16 + 60) / (20 + 17 + 21)

/** The systems that the goals name. */
export const systems = {
  redis: 'redis, machines for each job at its peak',
  pocket: 'pocket, peaks hinted exactly',
  mayfly: 'mayfly, no hint',
} as const

export interface Row {
  readonly system: string
  readonly pricePerHour: number
  /** What is reserved, priced as in Pocket's table; null if only whole machines can be had. */
  readonly reservedPerHour: number | null
  readonly slowDown: { readonly mean: number; readonly p50: number; readonly p99: number } | null
  readonly waitP99Seconds: number | null
  readonly nodesMost: number | null
}

/** Durations in ms of decisions of one kind. */
export interface Took {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly most: number
}

export interface Comparison {
  readonly mix: string
  readonly jobs: number
  readonly seconds: number
  readonly rows: readonly Row[]
  readonly decisions: Took
  readonly registrations: Took
  readonly counts: Readonly<Record<string, number>>
  readonly fullSeconds: number
  readonly mayfly: Played
  readonly pocket: Played
}

export interface Setting {
  readonly mix: readonly Application[]
  readonly jobs: number
  readonly seconds: number
  readonly nodesMax: number
  readonly seed: string
}

/** Runs the same jobs on each system. */
export function compare({ mix, jobs: count, seconds, nodesMax, seed }: Setting): Comparison {
  const jobs = drawJobs({ jobs: count, seconds, mix }, new SeededRandom(seed))
  const learning = new MayflyPolicy(nodesMax)
  const mayfly = play(jobs, learning)
  // Pocket may have as many nodes as its reservations need: at Mayfly's limit its jobs would wait for hours.
  const pocket = play(jobs, new PocketPolicy(Number.POSITIVE_INFINITY))
  const hours = mayfly.nodes.length / 3600
  const shared = Math.ceil(Math.max(...pocket.usedBytesPerSecond) / REDIS_MACHINE.bytesPerSecond)
  const whole = (system: string, pricePerHour: number, slowDown: number): Row => ({
    system,
    pricePerHour,
    reservedPerHour: null,
    slowDown: { mean: slowDown, p50: slowDown, p99: slowDown },
    waitP99Seconds: null,
    nodesMost: null,
  })
  return {
    mix: mix.join(' + '),
    jobs: jobs.length,
    seconds: mayfly.nodes.length,
    rows: [
      whole(systems.redis, redisPerJob(jobs) / hours, 1),
      whole('redis, one fleet at the peak of all jobs', redisPrice(shared), 1),
      rowOf(systems.pocket, pocket),
      rowOf(systems.mayfly, mayfly),
      whole('s3 alone', s3Price(jobs) / hours, S3_SLOW_DOWN),
    ],
    decisions: tookOf(learning.decisionMs),
    registrations: tookOf(learning.registrationMs),
    counts: learning.counts,
    fullSeconds: mayfly.fullSeconds,
    mayfly,
    pocket,
  }
}

function rowOf(system: string, { pricePerHour, reservedPerHour, slowDowns, waits, nodes }: Played): Row {
  const mean = slowDowns.reduce((sum, each) => sum + each, 0) / slowDowns.length
  return {
    system,
    pricePerHour,
    reservedPerHour,
    slowDown: { mean, p50: percentile(slowDowns, 50), p99: percentile(slowDowns, 99) },
    waitP99Seconds: percentile(waits, 99),
    nodesMost: Math.max(...nodes),
  }
}

function tookOf(ms: readonly number[]): Took {
  const [p50, p99, most] = [50, 99, 100].map((percent) => percentile(ms, percent)) as [number, number, number]
  return { count: ms.length, p50, p99, most }
}

/** Dollars in total: each job has its own machines while it runs. */
function redisPerJob(jobs: readonly SimulatedJob[]): number {
  return jobs.reduce((sum, { profile }) => {
    const machines = Math.max(
      Math.ceil(profile.peakBytesPerSecond / REDIS_MACHINE.bytesPerSecond),
      Math.ceil(profile.peakBytes / (REDIS_MACHINE.ramGb * 1e9)),
    )
    return sum + (redisPrice(machines) * profile.bytes.length) / 3600
  }, 0)
}

/** Dollars in total: a put for each object, its gets, and storage during its lifetime. */
function s3Price(jobs: readonly SimulatedJob[]): number {
  return jobs.reduce((sum, { application, profile }) => {
    const requests = profile.objects * (S3_PUT_PRICE + sizes[application].readsPerObject * S3_GET_PRICE)
    const gbSeconds = profile.bytes.reduce((total, bytes) => total + bytes, 0) / 1e9
    return sum + requests + (gbSeconds / 3600) * S3_GB_PRICE
  }, 0)
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? 0
}
