import type { ClusterEvent } from '../api/events.ts'
import { type ClusterReply, type JobReply, type NodeReply, sumTiers } from '../api/replies.ts'
import { eventLine } from './event-text.ts'
import { bar } from './progress.ts'
import { type Column, count, formatBytes, formatTable, printable, stateColumn } from './table.ts'
import type { Paint, Style } from './terminal.ts'

/** The data of one screen of `mayfly top`. */
export interface Snapshot {
  readonly url: string
  readonly cluster: ClusterReply
  readonly nodes: readonly NodeReply[]
  readonly jobs: readonly JobReply[]
  /** The last ones, oldest first. */
  readonly events: readonly ClusterEvent[]
}

const BAR_CHARACTERS = 10
/** The controller adds nodes above this. */
const FULL = 0.8
/** Rows that are kept for events on a screen. */
const EVENT_ROWS_MIN = 4

const level = (cell: string): Style | null => {
  const part = Number(/(\d+) %/.exec(cell)?.[1] ?? 0)
  return part >= 100 * FULL ? 'red' : part >= 60 ? 'yellow' : null
}

const nodeColumns: readonly Column[] = [
  { heading: 'NODE', align: 'left' },
  { heading: 'CLASS', align: 'left' },
  stateColumn,
  { heading: 'RAM', align: 'left', style: level },
  { heading: 'SSD', align: 'left', style: level },
  { heading: 'CPU', align: 'right', style: level },
  { heading: 'BYTES/S', align: 'right' },
  { heading: 'JOBS, THE LARGEST SHARE FIRST', align: 'left' },
]

const jobColumns: readonly Column[] = [
  { heading: 'JOB', align: 'left' },
  { heading: 'NAME', align: 'left' },
  stateColumn,
  { heading: 'USED OF RESERVED', align: 'left', style: level },
  { heading: 'OBJECTS', align: 'right' },
  { heading: 'BYTES/S', align: 'right' },
  { heading: 'NODES', align: 'right' },
  { heading: 'COST/H', align: 'right' },
]

/** Nodes (fullest first), jobs (largest first) and events, all of them. */
export function topLines(snapshot: Snapshot, paint: Paint): string[] {
  const { nodes, jobs, events } = snapshot
  return [
    ...headLines(snapshot, paint),
    '',
    ...nodeLines(nodes, jobs, paint),
    '',
    ...jobLines(jobs, paint),
    ...(events.length === 0 ? [] : ['', ...events.map((event) => eventLine(event, paint))]),
  ]
}

/** The same within `rows` and `columns`: each part is cut to the lines that fit. */
export function topScreen(
  snapshot: Snapshot,
  { rows, columns, paint }: { rows: number; columns: number; paint: Paint },
): string[] {
  const head = headLines(snapshot, paint)
  const nodes = nodeLines(snapshot.nodes, snapshot.jobs, paint)
  const jobs = jobLines(snapshot.jobs, paint)
  // Two empty lines, and one before the events.
  const room = Math.max(0, rows - head.length - 3)
  const events = Math.max(Math.min(EVENT_ROWS_MIN, snapshot.events.length), room - nodes.length - jobs.length)
  const forNodes = Math.max(2, Math.min(nodes.length, Math.ceil((room - events) / 2), room - events - 2))
  const forJobs = Math.max(2, room - events - forNodes)
  const lines = [
    ...head,
    '',
    ...cut(nodes, forNodes),
    '',
    ...cut(jobs, forJobs),
    '',
    ...snapshot.events.slice(-events).map((event) => eventLine(event, paint)),
  ]
  return lines.slice(0, rows).map((line) => clip(line, columns))
}

function headLines({ url, cluster, jobs, nodes }: Snapshot, paint: Paint): string[] {
  const { ram, ssd } = cluster.totals.bytes
  const cost = jobs.reduce((sum, { pricePerHour }) => sum + pricePerHour, 0)
  const nodesCost = cluster.nodeClasses.reduce(
    (sum, { nodes, pricePerHour }) => sum + nodes * pricePerHour,
    0,
  )
  const parts = [
    count(nodes.length, 'node'),
    count(jobs.length, 'job'),
    `RAM ${formatBytes(ram.used)} of ${formatBytes(ram.capacity)}`,
    ...(ssd.capacity > 0 ? [`SSD ${formatBytes(ssd.used)} of ${formatBytes(ssd.capacity)}`] : []),
    `${formatBytes(cluster.totals.bytesPerSecond.used)}/s`,
    `nodes cost ${nodesCost.toFixed(2)} an hour, ${cost.toFixed(2)} of that is reserved`,
  ]
  return [`${paint('bold', 'mayfly top')}  ${url}`, parts.join(' · ')]
}

function nodeLines(nodes: readonly NodeReply[], jobs: readonly JobReply[], paint: Paint): string[] {
  const sorted = [...nodes].sort((a, b) => fullness(b) - fullness(a))
  return formatTable(
    nodeColumns,
    sorted.map((node) => [
      node.id,
      node.class,
      node.state,
      gauge(node, 'ram'),
      gauge(node, 'ssd'),
      `${Math.round((100 * node.cores.used) / Math.max(node.cores.capacity, 0.001))} %`,
      formatBytes(node.bytesPerSecond.used),
      jobsOf(node.id, jobs),
    ]),
    paint,
  ).split('\n')
}

function fullness({ tiers, cores }: NodeReply): number {
  const parts = [tiers.ram, tiers.ssd].map((tier) =>
    tier === undefined || tier.capacityBytes === 0 ? 0 : tier.usedBytes / tier.capacityBytes,
  )
  return Math.max(...parts, cores.used / Math.max(cores.capacity, 0.001))
}

function gauge({ tiers }: NodeReply, name: 'ram' | 'ssd'): string {
  const tier = tiers[name]
  if (tier === undefined || tier.capacityBytes === 0) return '-'
  return `${bar(tier.usedBytes / tier.capacityBytes, BAR_CHARACTERS)} of ${formatBytes(tier.capacityBytes)}`
}

/** The bytes of each job on the node, estimated from its share of the reservation there. */
function jobsOf(node: string, jobs: readonly JobReply[]): string {
  const shares = jobs.flatMap(({ id, name, reservation, usage }) => {
    const share = reservation.nodes.find((part) => part.node === node)
    if (share === undefined) return []
    const part = sumTiers(share.bytes) / Math.max(1, sumTiers(reservation.bytes))
    return [{ name: `${printable(name)} (${id})`, bytes: part * sumTiers(usage.bytes) }]
  })
  return shares
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ name, bytes }) => `${name} ~${formatBytes(bytes)}`)
    .join(', ')
}

function jobLines(jobs: readonly JobReply[], paint: Paint): string[] {
  const sorted = [...jobs].sort((a, b) => sumTiers(b.usage.bytes) - sumTiers(a.usage.bytes))
  return formatTable(
    jobColumns,
    sorted.map(({ id, name, state, reservation, usage, pricePerHour }) => {
      const [used, has] = [sumTiers(usage.bytes), sumTiers(reservation.bytes)]
      return [
        id,
        printable(name),
        state,
        `${bar(has === 0 ? 0 : used / has, BAR_CHARACTERS)} ${formatBytes(used)} of ${formatBytes(has)}`,
        String(usage.objects),
        formatBytes(usage.bytesPerSecond),
        String(reservation.nodes.length),
        pricePerHour.toFixed(3),
      ]
    }),
    paint,
  ).split('\n')
}

function cut(lines: readonly string[], room: number): string[] {
  if (lines.length <= room) return [...lines]
  return [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`]
}

/** Colours take no room: sequences of ECMA-48 (SGR) are kept, and what follows the last column is dropped. */
function clip(line: string, columns: number): string {
  let width = 0
  let shown = ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for the control sequences.
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith('\u001b')) {
      shown += part
      continue
    }
    shown += part.slice(0, Math.max(0, columns - width))
    width += part.length
  }
  return shown
}
