import type { SystemName } from '../clients/open.ts'
import { type ServerName, serverOf, servers } from '../systems.ts'
import { ratioToBest } from './goals.ts'
import { type Column, medianOf, type RowResult } from './measurement.ts'
import { median } from './median.ts'

/** One line for each row and server: medians over the rounds, with the library that was best for that server, and how many times as good Mayfly is. */
export function tableOf(
  results: readonly RowResult[],
  columns: readonly Column[],
  judged: Column,
): { columns: string[]; rows: string[][] } {
  return {
    columns: [
      '',
      'system',
      ...columns.map(({ name }) => name),
      'client CPU s',
      'server CPU s',
      'Mayfly to it',
    ],
    rows: results.flatMap((result) =>
      [...systemsByServer(result)].flatMap(([server, systems]) => {
        const best = bestOf(result, judged, systems)
        return best === undefined ? [] : [lineOf(result, { server, best, columns, judged })]
      }),
    ),
  }
}

function lineOf(
  result: RowResult,
  {
    server,
    best,
    columns,
    judged,
  }: { server: ServerName; best: SystemName; columns: readonly Column[]; judged: Column },
): string[] {
  const all = result.measurements.get(best) ?? []
  const title = servers[server].title
  const ratio = ratioToBest(result, judged, [best])?.ratio
  return [
    result.row,
    server === 'redis' ? `${title} (${best})` : title,
    ...columns.map(({ name, digits }) => medianOf(result, best, name)?.toFixed(digits) ?? '–'),
    median(all.map((each) => each.clientCpuSeconds)).toFixed(2),
    median(all.map((each) => each.serverCpuSeconds)).toFixed(2),
    ratio === undefined || server === 'mayfly' ? '' : `${ratio.toFixed(2)}×`,
  ]
}

function systemsByServer({ measurements }: RowResult): Map<ServerName, SystemName[]> {
  const byServer = new Map<ServerName, SystemName[]>()
  for (const system of measurements.keys()) {
    const server = serverOf[system]
    byServer.set(server, [...(byServer.get(server) ?? []), system])
  }
  return byServer
}

function bestOf(
  result: RowResult,
  { name, better }: Column,
  systems: readonly SystemName[],
): SystemName | undefined {
  const figures = systems.flatMap((system) => {
    const figure = medianOf(result, system, name)
    return figure === undefined ? [] : [{ system, figure }]
  })
  figures.sort((a, b) => (better === 'higher' ? b.figure - a.figure : a.figure - b.figure))
  return figures[0]?.system
}
