import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { SeededRandom } from '../world/random.ts'

export const applications = ['sort', 'video', 'compile'] as const
export type Application = (typeof applications)[number]

/** Pocket's three applications at full size. */
export const sizes: Readonly<
  Record<
    Application,
    { dataGb: number; peakGbps: number; writeSeconds: number; readsPerObject: number; nodes: number }
  >
> = {
  sort: { dataGb: 100, peakGbps: 7.5, writeSeconds: 30, readsPerObject: 1, nodes: 10 },
  video: { dataGb: 6, peakGbps: 2.5, writeSeconds: 60, readsPerObject: 1, nodes: 3 },
  // Its peak is not in the paper. 55 % of the objects are read once, the others, which are mostly small, hundreds of times.
  compile: { dataGb: 0.85, peakGbps: 0.5, writeSeconds: 60, readsPerObject: 10, nodes: 3 },
}

/** The usage of a job second by second if nothing limits it. */
export interface Profile {
  /** Bytes stored at the end of each second, when objects after their last read are deleted. */
  readonly bytes: readonly number[]
  /** Bytes transferred in each second. */
  readonly bytesPerSecond: readonly number[]
  readonly peakBytes: number
  readonly peakBytesPerSecond: number
  readonly dataBytes: number
  readonly objects: number
}

export interface SimulatedJob {
  readonly id: string
  readonly name: string
  readonly application: Application
  readonly startsAtSecond: number
  readonly profile: Profile
}

/** Fractions of the full size, uniform on a logarithmic scale. */
const SCALE_MIN = 0.1
const SCALE_MAX = 0.5
/** Relative spread of the sizes of a name's runs. */
const SPREAD = 0.1

/**
 * `jobs` runs of `jobs / 100` names over `seconds`, in the order of their start. Every name has its application and size. Half of the names run at regular
 * intervals, the others at random.
 */
export function drawJobs(
  of: { jobs: number; seconds: number; mix: readonly Application[] },
  random: SeededRandom,
): SimulatedJob[] {
  const runs = Math.min(100, of.jobs)
  const names = Math.max(1, Math.round(of.jobs / runs))
  const jobs: SimulatedJob[] = []
  for (let index = 0; index < names; index++) {
    const application = of.mix[index % of.mix.length] as Application
    const scale = SCALE_MIN * (SCALE_MAX / SCALE_MIN) ** random.fraction()
    const period = of.seconds / runs
    const offset = random.fraction() * period
    const isRegular = index % 2 === 0
    for (let run = 0; run < runs; run++) {
      const at = isRegular
        ? offset + (run + random.between(-0.03, 0.03)) * period
        : random.fraction() * of.seconds
      jobs.push({
        id: `${application}-${index}-${run}`,
        name: `${application}-${index}`,
        application,
        startsAtSecond: Math.max(0, Math.floor(at)),
        profile: profileOf(application, scale * random.between(1 - SPREAD, 1 + SPREAD)),
      })
    }
  }
  return jobs.sort((a, b) => a.startsAtSecond - b.startsAtSecond)
}

const curves = new Map<Application, { bytes: number[]; rate: number[]; peak: number; high: number }>()

/** Objects are written at a constant rate and live as long as the trace says; their reads are spread over their lifetimes. */
export function profileOf(application: Application, scale: number): Profile {
  const { dataGb, peakGbps } = sizes[application]
  const { bytes, rate, peak, high } = curves.get(application) ?? curveOf(application)
  const dataBytes = dataGb * 1e9 * scale
  const top = peakGbps * 1e9 * scale
  return {
    bytes: bytes.map((part) => part * dataBytes),
    bytesPerSecond: rate.map((part) => (part / peak) * top),
    peakBytes: high * dataBytes,
    peakBytesPerSecond: top,
    dataBytes,
    objects: Math.ceil(dataBytes / meanOf(quantilesOf(`${application}_object_bytes.csv`))),
  }
}

function curveOf(application: Application) {
  const { writeSeconds, readsPerObject } = sizes[application]
  const lifetimes = quantilesOf(`${application}_object_lifetime_seconds.csv`)
  const seconds = writeSeconds + Math.ceil(lifetimes.at(-1) ?? 0)
  const bytes = new Array<number>(seconds).fill(0)
  const rate = new Array<number>(seconds).fill(0)
  const part = 1 / (writeSeconds * lifetimes.length)
  for (let written = 0; written < writeSeconds; written++) {
    rate[written] = (rate[written] ?? 0) + 1 / writeSeconds
    for (const lifetime of lifetimes) {
      const end = written + Math.max(1, Math.round(lifetime))
      for (let at = written; at < end && at < seconds; at++) bytes[at] = (bytes[at] ?? 0) + part
      const last = Math.min(end, seconds - 1)
      const others = Math.max(0, readsPerObject - 1) / Math.max(1, last - written)
      for (let at = written; at < last; at++) rate[at] = (rate[at] ?? 0) + part * others
      rate[last] = (rate[last] ?? 0) + part * Math.min(1, readsPerObject)
    }
  }
  const curve = { bytes, rate, peak: Math.max(...rate), high: Math.max(...bytes) }
  curves.set(application, curve)
  return curve
}

const files = new Map<string, number[]>()

/** The second column of a file whose first column has evenly spaced quantiles from 0 to 1. */
function quantilesOf(file: string): number[] {
  const known = files.get(file)
  if (known !== undefined) return known
  const [, ...lines] = readFileSync(resolve('bench/traces', file), 'utf8').trim().split('\n')
  const values = lines.map((line) => Number(line.split(',')[1]))
  files.set(file, values)
  return values
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
