import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ControllerDead, runControllerDead } from '../../elasticity/controller-dead.ts'
import { type Doubling, type DoublingSettings, runDoubling } from '../../elasticity/doubling.ts'
import { measureRegistrations, type Registrations } from '../../elasticity/registration.ts'
import { runThreeJobs, type ThreeJobs } from '../../elasticity/three-jobs.ts'
import { Latencies } from '../../report/latencies.ts'
import type { Goal, Report, Suite, SuiteOptions } from '../../suite.ts'

interface Settings {
  readonly registrations: number
  readonly stepMs: number
  readonly doubling: DoublingSettings
  readonly deadMs: readonly number[]
}

const full: Settings = {
  registrations: 20,
  stepMs: 10_000,
  doubling: { steadyMs: 15_000, decisionMsMax: 60_000, afterMs: 20_000 },
  deadMs: [10_000, 30_000],
}
/** Too short for a node to be removed again. */
const tiny: Settings = {
  registrations: 2,
  stepMs: 1_000,
  doubling: { steadyMs: 2_000, decisionMsMax: 8_000, afterMs: 1_000 },
  deadMs: [1_000],
}

const POOL_MS_MAX = 50
const COLD_MS_MAX = 500

interface Measured {
  readonly pool: Registrations
  readonly cold: Registrations
  readonly threeJobs: ThreeJobs
  readonly doubling: Doubling
  readonly dead: readonly ControllerDead[]
}

export const elasticity: Suite = {
  summary: 'capacity that follows jobs and their load, and what they see while there is no controller',
  run: async ({ tiny: isTiny, signal, say, advance }: SuiteOptions): Promise<Report> => {
    const settings = isTiny ? tiny : full
    const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-'))
    try {
      return reportOf(await measure(settings, { dir, signal, say, advance }), settings)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  },
}

async function measure(
  settings: Settings,
  { dir, signal, say, advance }: Pick<SuiteOptions, 'signal' | 'say' | 'advance'> & { dir: string },
): Promise<Measured> {
  const next = (what: string): void => {
    signal.throwIfAborted()
    say(what)
    advance(steps++ / (4 + settings.deadMs.length))
  }
  let steps = 0
  const { registrations: samples, stepMs } = settings
  next('registrations that find their node in the pool')
  const pool = await measureRegistrations({ warmNodes: 1, samples })
  next('registrations for which a node has to start')
  const cold = await measureRegistrations({ warmNodes: 0, samples })
  next('three jobs')
  const threeJobs = await runThreeJobs({ dir, stepMs })
  next('the load of a job doubles and halves')
  const doubling = await runDoubling({ ...settings.doubling, dir })
  const dead: ControllerDead[] = []
  for (const deadMs of settings.deadMs) {
    next(`no controller for ${deadMs / 1000} s`)
    dead.push(await runControllerDead({ dir, deadMs }))
  }
  return { pool, cold, threeJobs, doubling, dead }
}

function reportOf(measured: Measured, { registrations, stepMs, deadMs }: Settings): Report {
  const { threeJobs, doubling, dead } = measured
  return {
    settings: { registrations, stepMs, deadMs: deadMs.join(', ') },
    columns: ['what', 'calls', 'p50 ms', 'p99 ms', 'max ms', ''],
    rows: [
      ...registrationRows(measured),
      ...jobRows(threeJobs),
      ...doublingRows(doubling),
      ...dead.flatMap(deadRows),
    ],
    goals: goalsOf(measured),
    notes: [],
    charts: [threeJobs.chart, doubling.chart],
    failures: [threeJobs, doubling, ...dead].flatMap(({ problems }) => problems),
    measurements: { ...measured, threeJobs: withoutChart(threeJobs), doubling: withoutChart(doubling) },
  }
}

function withoutChart<Of extends { chart: unknown }>({ chart: _, ...rest }: Of): Omit<Of, 'chart'> {
  return rest
}

function registrationRows({ pool, cold }: Measured): string[][] {
  const row = (what: string, ms: readonly number[]): string[] => [what, ...cells(new Latencies(ms, 1)), '']
  return [
    row('registration, node from the pool', pool.registeredMs),
    row('registration and first put, node from the pool', pool.firstPutMs),
    row('registration, node has to start', cold.registeredMs),
    row('registration and first put, node has to start', cold.firstPutMs),
  ]
}

function jobRows({ jobs, releasedMs }: ThreeJobs): string[][] {
  const rows = jobs.map((job) => [
    `three jobs: ${job.name} asks ${megabytes(job.askedBytesPerSecond)}`,
    '',
    job.registeredMs.toFixed(1),
    '',
    '',
    `moves ${megabytes(job.movedBytesPerSecond)}; nodes ${job.nodesBefore} → ${job.nodesAfter}`,
  ])
  return [
    ...rows,
    ['three jobs: from the last end until one node is left', '', releasedMs.toFixed(0), '', '', ''],
  ]
}

function doublingRows({ windows, ...moments }: Doubling): string[][] {
  const after = (ms: number | null): string => (ms === null ? 'not seen' : ms.toFixed(0))
  return [
    ...windows.map(({ name, latencies, usedBytesPerSecond, askedBytesPerSecond }) => [
      `load: ${name}`,
      ...cells(latencies),
      `${megabytes(usedBytesPerSecond)} of ${megabytes(askedBytesPerSecond)}`,
    ]),
    ['doubled: until it is decided', '', after(moments.scaledOutMs), '', '', ''],
    ['doubled: until the new node serves', '', after(moments.nodeActiveMs), '', '', ''],
    ['halved: until it is decided', '', after(moments.scaledInMs), '', '', ''],
    ['halved: until the process has ended', '', after(moments.nodeStoppedMs), '', '', ''],
  ]
}

function deadRows({ deadMs, before, during, backMs }: ControllerDead): string[][] {
  const note = `a registration is answered ${backMs.toFixed(0)} ms after it may start again`
  return [
    ['calls before the controller is killed', ...cells(before), ''],
    [`calls while it is dead for ${deadMs / 1000} s`, ...cells(during), note],
  ]
}

function goalsOf({ pool, cold, threeJobs, doubling, dead }: Measured): Goal[] {
  const failed = (of: readonly { problems: readonly string[] }[]): number =>
    of.flatMap(({ problems }) => problems).length
  return [
    atMost('p50 of a registration that finds its node in the pool', middle(pool), POOL_MS_MAX),
    atMost('p50 of a registration for which a node has to start', middle(cold), COLD_MS_MAX),
    none('calls that failed while three jobs came and went', failed([threeJobs])),
    none('calls that failed while the load doubled and halved', failed([doubling])),
    none('calls that failed while there was no controller', failed(dead)),
  ]
}

function middle({ registeredMs }: Registrations): number {
  return new Latencies(registeredMs, 1).percentile(50)
}

function atMost(name: string, ms: number, msMax: number): Goal {
  const figures = { atLeast: `at most ${msMax} ms`, measured: `${ms.toFixed(1)} ms` }
  return { name, ...figures, reachFor: '–', verdict: ms <= msMax ? 'holds' : 'FALLS SHORT' }
}

function none(name: string, count: number): Goal {
  return {
    name,
    atLeast: 'none',
    measured: String(count),
    reachFor: '–',
    verdict: count === 0 ? 'holds' : 'FALLS SHORT',
  }
}

/** Calls, p50, p99 and the maximum. */
function cells(latencies: Latencies): string[] {
  const figures = [50, 99, 100].map((percent) => latencies.percentile(percent).toFixed(2))
  return [String(latencies.count), ...figures]
}

function megabytes(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`
}
