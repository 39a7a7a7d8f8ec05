import { missingLibrary, type SystemName } from '../clients/open.ts'
import { Entrant } from '../load/entrant.ts'
import type { Server } from '../servers/server.ts'
import type { Report, Suite, SuiteOptions } from '../suite.ts'
import { type ServerName, serverOf, servers } from '../systems.ts'
import { distributionChart, figureChart, sizeCharts } from './chart.ts'
import { type GoalSpec, judge } from './goals.ts'
import type { Column, Measurement, RowResult } from './measurement.ts'
import { tableOf } from './ratios.ts'
import { versionsOf } from './versions.ts'

/** Several systems, measured in turn. */
export interface Comparison {
  readonly summary: string
  readonly systems: readonly SystemName[]
  readonly rounds: { readonly full: number; readonly tiny: number }
  readonly columns: readonly Column[]
  /** The name of the column from which ratios are computed. */
  readonly judgedBy: string
  readonly groups: (tiny: boolean) => readonly Group[]
  readonly goals: readonly GoalSpec[]
  /** Whether Mayfly's processes report stalls of their event loops, which costs them a timer. */
  readonly watchesStalls?: boolean
  /** Whether clients and servers speak TLS. */
  readonly tls?: boolean
}

/** Rows that are measured with the same servers and client processes. */
export interface Group {
  /** Runs before the first of its rows. */
  readonly setUp?: (entrant: Entrant) => Promise<unknown>
  readonly rows: readonly Row[]
}

export interface Row {
  readonly name: string
  readonly family?: string
  readonly objectBytes?: number
  measure(entrant: Entrant): Promise<Measurement>
}

export function suiteOf(comparison: Comparison): Suite {
  return { summary: comparison.summary, run: (options) => compare(comparison, options) }
}

async function compare(comparison: Comparison, options: SuiteOptions): Promise<Report> {
  const rounds = comparison.rounds[options.tiny ? 'tiny' : 'full']
  const missing = new Map(comparison.systems.map((system) => [system, missingOf(system)]))
  const notes = [...new Set([...missing.values()].filter((line) => line !== null))]
  for (const note of notes) options.say(note)
  const systems = comparison.systems.filter((system) => missing.get(system) === null)
  const results: RowResult[] = []
  const isWanted = ({ name }: Row): boolean => options.only === undefined || name.includes(options.only)
  const groups = comparison
    .groups(options.tiny)
    .map(({ setUp, rows }) => ({ setUp, wanted: rows.filter(isWanted) }))
  const all = groups.reduce((sum, { wanted }) => sum + wanted.length, 0) * rounds * systems.length
  let done = 0
  const onMeasured = (): void => options.advance(++done / all)
  for (const { setUp, wanted } of groups) {
    if (wanted.length === 0) continue
    await withEntrants(systems, comparison, async (entrants) => {
      for (const entrant of entrants) await setUp?.(entrant)
      for (const row of wanted) {
        options.say(row.name)
        results.push(await measureRow(row, entrants, { rounds, signal: options.signal, onMeasured }))
      }
    })
  }
  const settings = { rounds, 'ratios are of': comparison.judgedBy, ...(await versionsOf(systems)) }
  return reportOf(comparison, results, { settings, notes })
}

function missingOf(system: SystemName): string | null {
  return servers[serverOf[system]].missing() ?? missingLibrary(system)
}

/** Systems that are clients of the same server share it, as only one of them is busy at a time. */
async function withEntrants(
  systems: readonly SystemName[],
  { watchesStalls = false, tls = false }: Comparison,
  work: (entrants: readonly Entrant[]) => Promise<void>,
): Promise<void> {
  const running = new Map<ServerName, Server>()
  const entrants: Entrant[] = []
  try {
    for (const system of systems) {
      const name = serverOf[system]
      const server = running.get(name) ?? (await servers[name].start({ watchesStalls, tls }))
      running.set(name, server)
      entrants.push(new Entrant(system, server))
    }
    await work(entrants)
  } finally {
    await Promise.all(entrants.map((entrant) => entrant.endDrivers()))
    await Promise.all([...running.values()].map((server) => server.stop()))
  }
}

/** Each round measures every system once. The order rotates, so that disturbances of the machine affect all systems alike. */
async function measureRow(
  row: Row,
  entrants: readonly Entrant[],
  { rounds, signal, onMeasured }: { rounds: number; signal: AbortSignal; onMeasured: () => void },
): Promise<RowResult> {
  const { name, measure: _, ...rest } = row
  const measurements = new Map<SystemName, Measurement[]>(entrants.map(({ system }) => [system, []]))
  for (let round = 0; round < rounds; round++) {
    const first = round % entrants.length
    for (const entrant of [...entrants.slice(first), ...entrants.slice(0, first)]) {
      signal.throwIfAborted()
      measurements.get(entrant.system)?.push(await measureOnce(row, entrant))
      onMeasured()
    }
  }
  return { row: name, ...rest, measurements }
}

/** A system that fails has no figures in that round; the others go on. */
async function measureOnce(row: Row, entrant: Entrant): Promise<Measurement> {
  try {
    return await row.measure(entrant)
  } catch (error) {
    await entrant.endDrivers()
    const failure = error instanceof Error ? error.message : String(error)
    return { figures: {}, clientCpuSeconds: 0, serverCpuSeconds: 0, failures: [failure] }
  }
}

function reportOf(
  comparison: Comparison,
  results: readonly RowResult[],
  { settings, notes }: Pick<Report, 'settings' | 'notes'>,
): Report {
  const { columns, judgedBy, goals } = comparison
  const judged = columns.find(({ name }) => name === judgedBy)
  if (judged === undefined) throw new Error(`there is no column ${judgedBy}`)
  const failures = results.flatMap(({ row, measurements }) =>
    [...measurements].flatMap(([system, all]) =>
      all.flatMap((each) => each.failures.map((failure) => `${row}, ${system}: ${failure}`)),
    ),
  )
  return {
    settings,
    ...tableOf(results, columns, judged),
    goals: goals.flatMap((spec) => judge(spec, results, columns) ?? []),
    notes,
    failures,
    charts: [
      ...sizeCharts(results),
      ...results.flatMap((result) => distributionChart(result) ?? figureChart(result, judged)),
    ],
    measurements: results.map(({ measurements, ...rest }) => ({
      ...rest,
      systems: Object.fromEntries(measurements),
    })),
  }
}
