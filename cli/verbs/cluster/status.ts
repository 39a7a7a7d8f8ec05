import { tiers } from '../../../protocol/operations/data-operations.ts'
import { findCredentials } from '../../api/credentials.ts'
import { request, requestAll } from '../../api/http.ts'
import type { ClusterReply, JobReply } from '../../api/replies.ts'
import { type Column, count, formatBytes, formatTable, printable } from '../../terminal/table.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  type JsonFlag,
  jsonOption,
  onRun,
} from '../../verb.ts'

/** The bytes of a job on a tier, and the operations there since its registration. */
const tierColumns: readonly Column[] = [
  { heading: 'JOB', align: 'left' },
  { heading: 'NAME', align: 'left' },
  { heading: 'TIER', align: 'left' },
  { heading: 'USED', align: 'right' },
  { heading: 'OBJECTS', align: 'right' },
  { heading: 'HITS', align: 'right' },
  { heading: 'DEMOTED', align: 'right' },
  { heading: 'PROMOTED', align: 'right' },
  { heading: 'DROPPED', align: 'right' },
]

const columns: readonly Column[] = [
  { heading: '', align: 'left' },
  { heading: 'USED', align: 'right' },
  { heading: 'RESERVED', align: 'right' },
  { heading: 'FREE', align: 'right' },
  { heading: 'CAPACITY', align: 'right' },
  { heading: 'LIMIT', align: 'right' },
]

export const status: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'status', {
    summary: 'show the capacity of the cluster and its use, and what moves between the tiers of each job',
    examples: ['mayfly status', 'mayfly status --json | jq .totals'],
  })
  jsonOption(clusterOptions(verb))
  onRun<ClusterFlags & JsonFlag>(verb, cli, async (_, flags) => {
    const { print } = cli.terminal
    const credentials = findCredentials(flags, cli.config)
    const cluster = await request<ClusterReply>(credentials, { path: '/v1/cluster' })
    const jobs = await requestAll<JobReply>(credentials, 'jobs')
    if (flags.json === true) {
      const usage = jobs.map(({ id, name, usage }) => ({ job: id, name, ...usage }))
      print(JSON.stringify({ ...cluster, usage }))
    } else print(`${describe(credentials.url, cluster)}${describeTiers(jobs)}`)
  })
}

function describe(url: string, { totals, metadata, jobs, nodes }: ClusterReply): string {
  return [
    `controller  ${url}`,
    ...metadata.map(
      ({ id, address, jobs, busy }, index) =>
        `${index === 0 ? 'metadata  ' : '          '}  ${id} at ${address}, ${count(jobs, 'job')}, ${Math.round(busy * 100)} % of a core`,
    ),
    `nodes       ${formatStates(nodes)}`,
    `jobs        ${formatStates(jobs)}`,
    '',
    formatTable(columns, [
      ...Object.entries(totals.bytes)
        .filter(([, { limit }]) => limit > 0)
        .map(([tier, total]) => rowOf(tier, total)),
      rowOf('bytes/s', totals.bytesPerSecond),
    ]),
  ].join('\n')
}

/** Empty without living jobs. Tiers that a job never used have no row. */
function describeTiers(jobs: readonly JobReply[]): string {
  const rows = jobs.flatMap((job) =>
    tiers.flatMap((tier) => {
      const { bytes, tiers: uses } = job.usage
      const { objects, hits, demotedObjects, demotedBytes, promotedObjects, promotedBytes, droppedMoves } =
        uses[tier]
      if (tier !== 'ram' && bytes[tier] + Object.values(uses[tier]).reduce((a, b) => a + b) === 0) return []
      const moved = (count: number, of: number): string => `${count} (${formatBytes(of)})`
      return [
        [
          job.id,
          printable(job.name),
          tier,
          formatBytes(bytes[tier]),
          String(objects),
          String(hits),
          moved(demotedObjects, demotedBytes),
          moved(promotedObjects, promotedBytes),
          String(droppedMoves),
        ],
      ]
    }),
  )
  return rows.length === 0
    ? ''
    : `

${formatTable(tierColumns, rows)}`
}

type Total = ClusterReply['totals']['bytesPerSecond']

function rowOf(name: string, { used, reserved, free, capacity, limit }: Total): string[] {
  return [name, ...[used, reserved, free, capacity, limit].map(formatBytes)]
}

/** `2 active, 1 starting`; states without entries are left out. */
function formatStates(counts: Readonly<Record<string, number>>): string {
  const states = Object.entries(counts).filter(([, count]) => count > 0)
  return states.length === 0 ? 'none' : states.map(([state, count]) => `${count} ${state}`).join(', ')
}
