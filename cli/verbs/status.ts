import { dirOption, findCredentials } from '../credentials.ts'
import { request } from '../http.ts'
import type { ClusterReply } from '../replies.ts'
import { type Column, formatBytes, formatTable } from '../table.ts'
import type { Verb } from '../verb.ts'

const columns: readonly Column[] = [
  { heading: '', align: 'left' },
  { heading: 'USED', align: 'right' },
  { heading: 'RESERVED', align: 'right' },
  { heading: 'FREE', align: 'right' },
  { heading: 'CAPACITY', align: 'right' },
  { heading: 'LIMIT', align: 'right' },
]

export const status: Verb = {
  usage: 'status [--dir DIR] [--json]',
  summary: 'show what the cluster has and what of it is in use',
  shape: { options: { json: 'flag', ...dirOption }, required: [], optional: [] },
  async run({ args, config, print }) {
    const credentials = findCredentials(args, config)
    const cluster = await request<ClusterReply>(credentials, { path: '/v1/cluster' })
    print(args.flag('json') ? JSON.stringify(cluster) : describe(credentials.url, cluster))
    return 0
  },
}

function describe(url: string, { totals, metadata, jobs, nodes }: ClusterReply): string {
  return [
    `controller  ${url}`,
    ...metadata.map(
      ({ id, address, jobs, busy }, index) =>
        `${index === 0 ? 'metadata  ' : '          '}  ${id} at ${address}, ${jobs} jobs, ${Math.round(busy * 100)} % of a core`,
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

type Total = ClusterReply['totals']['bytesPerSecond']

function rowOf(name: string, { used, reserved, free, capacity, limit }: Total): string[] {
  return [name, ...[used, reserved, free, capacity, limit].map(formatBytes)]
}

/** `2 active, 1 starting`; states that nothing is in are left out. */
function formatStates(counts: Readonly<Record<string, number>>): string {
  const states = Object.entries(counts).filter(([, count]) => count > 0)
  return states.length === 0 ? 'none' : states.map(([state, count]) => `${count} ${state}`).join(', ')
}
