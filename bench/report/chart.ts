import type { SystemName } from '../clients/open.ts'
import { RANKS } from '../tasks/tally.ts'
import { type Column, MEGABYTES_PER_SECOND, medianOf, type RowResult } from './measurement.ts'
import { median } from './median.ts'

/** A system, or a throughput of a cluster: allocated, reserved, used. */
export type SeriesName = SystemName | 'allocated' | 'reserved' | 'used'

/** A chart before it is drawn. */
export type Chart = LineChart | BarChart

export interface LineChart {
  readonly kind: 'lines'
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly { readonly name: SeriesName; readonly points: readonly Point[] }[]
}

export interface BarChart {
  readonly kind: 'bars'
  readonly title: string
  readonly unit: string
  readonly bars: readonly { readonly name: SystemName; readonly value: number }[]
}

interface Axis {
  readonly label: string
  /** Positions and labels of the marks. On a logarithmic axis the positions are logarithms. */
  readonly marks: readonly { readonly at: number; readonly text: string }[]
}

export type Point = readonly [x: number, y: number]

const KIB = 1024
const sizes = ['B', 'KiB', 'MiB', 'GiB']

/** Throughput over object size, one chart for each family of rows that has several sizes. */
export function sizeCharts(results: readonly RowResult[]): LineChart[] {
  const families = new Map<string, RowResult[]>()
  for (const result of results) {
    if (result.family === undefined || result.objectBytes === undefined) continue
    families.set(result.family, [...(families.get(result.family) ?? []), result])
  }
  return [...families].flatMap(([family, members]) => {
    if (members.length < 2) return []
    const series = systemsOf(members).map((name) => ({
      name,
      points: members.flatMap((member): Point[] => {
        const figure = medianOf(member, name, MEGABYTES_PER_SECOND)
        return figure ? [[Math.log10(member.objectBytes ?? 1), Math.log10(figure)]] : []
      }),
    }))
    const marks = members.map(({ objectBytes = 0 }) => ({
      at: Math.log10(objectBytes),
      text: formatBytes(objectBytes),
    }))
    return [
      {
        kind: 'lines' as const,
        title: `${family}: throughput over object size`,
        x: { label: 'bytes of an object', marks },
        y: { label: MEGABYTES_PER_SECOND, marks: decades(series) },
        series,
      },
    ]
  })
}

/** Latency distribution; null if calls were not timed one by one. The x axis counts nines: 1 is p90, 2 is p99. */
export function distributionChart(result: RowResult): LineChart | null {
  const series = systemsOf([result]).map((name) => {
    const rounds = (result.measurements.get(name) ?? []).flatMap(({ ranksMs }) => (ranksMs ? [ranksMs] : []))
    const points = RANKS.flatMap((rank, index): Point[] => {
      const ms = median(rounds.map((ranksMs) => ranksMs[index] ?? 0))
      return rank < 100 && ms > 0 ? [[nines(rank), Math.log10(ms)]] : []
    })
    return { name, points }
  })
  if (series.every(({ points }) => points.length === 0)) return null
  const marks = [0, 50, 90, 99, 99.9, 99.99].map((rank) => ({ at: nines(rank), text: `p${rank}` }))
  return {
    kind: 'lines',
    title: `${result.row}: latency`,
    x: { label: 'of the calls', marks },
    y: { label: 'ms', marks: decades(series) },
    series,
  }
}

export function figureChart(result: RowResult, { name: unit }: Column): BarChart {
  const bars = systemsOf([result]).flatMap((name) => {
    const value = medianOf(result, name, unit)
    return value === undefined ? [] : [{ name, value }]
  })
  return { kind: 'bars', title: `${result.row}: ${unit}`, unit, bars }
}

function systemsOf(results: readonly RowResult[]): SystemName[] {
  return [...new Set(results.flatMap(({ measurements }) => [...measurements.keys()]))]
}

function nines(rank: number): number {
  return -Math.log10(1 - rank / 100)
}

/** A mark at every power of ten in the range of the values. */
function decades(series: readonly { points: readonly Point[] }[]): Axis['marks'] {
  const values = series.flatMap(({ points }) => points.map(([, y]) => y))
  const low = Math.floor(Math.min(...values))
  const high = Math.max(low + 1, Math.ceil(Math.max(...values)))
  return Array.from({ length: high - low + 1 }, (_, index) => {
    const at = low + index
    return { at, text: String(Number((10 ** at).toPrecision(1))) }
  })
}

/** The names that have a colour in these charts. */
export function namesOf(charts: readonly Chart[]): ReadonlySet<SeriesName> {
  return new Set(
    charts.flatMap((chart) => (chart.kind === 'lines' ? chart.series : chart.bars).map(({ name }) => name)),
  )
}

export function formatBytes(bytes: number): string {
  const power = Math.min(sizes.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${Number((bytes / KIB ** power).toFixed(1))} ${sizes[power]}`
}
