import type { StageReport } from './stage.ts'
import type { StoredBytes } from './stored.ts'

const heading = ['stage', 'processes', 'objects', 'MiB', 'seconds', 'MiB/s']

/** The table at the end: the bytes that each stage moved through Mayfly, the tiers that stored them, and what is left. */
export function formatReport(stages: readonly StageReport[], most: StoredBytes, bytesLeft: number): string {
  const total: StageReport = {
    name: 'total',
    processes: sum(stages, ({ processes }) => processes),
    objects: sum(stages, ({ objects }) => objects),
    bytes: sum(stages, ({ bytes }) => bytes),
    ms: sum(stages, ({ ms }) => ms),
  }
  const rows = [heading, ...[...stages, total].map(cellsOf)]
  const lines = rows.map(([name = '', ...cells]) => {
    return name.padEnd(8) + cells.map((cell) => cell.padStart(11)).join('')
  })
  const places = [...most].map(([tier, bytes]) => `${mebibytesOf(bytes)} MiB in ${tier}`)
  return [
    '',
    ...lines,
    `the most that lay on each tier at a time: ${places.join(', ')}`,
    `bytes left after clean-up: ${bytesLeft}`,
  ].join('\n')
}

function cellsOf({ name, processes, objects, bytes, ms }: StageReport): string[] {
  const seconds = ms / 1000
  return [
    name,
    String(processes),
    String(objects),
    mebibytesOf(bytes),
    seconds.toFixed(1),
    (bytes / 2 ** 20 / seconds).toFixed(0),
  ]
}

function sum(stages: readonly StageReport[], of: (stage: StageReport) => number): number {
  return stages.reduce((total, stage) => total + of(stage), 0)
}

function mebibytesOf(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
