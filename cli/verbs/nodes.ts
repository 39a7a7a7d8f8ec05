import { dirOption, findCredentials } from '../api/credentials.ts'
import { requestAll } from '../api/http.ts'
import type { NodeReply } from '../api/replies.ts'
import { type Column, formatBytes, formatTable } from '../table.ts'
import type { Verb } from '../verb.ts'

const columns: readonly Column[] = [
  { heading: 'NODE', align: 'left' },
  { heading: 'CLASS', align: 'left' },
  { heading: 'STATE', align: 'left' },
  { heading: 'ADDRESS', align: 'left' },
  { heading: 'PID', align: 'right' },
  { heading: 'TIER', align: 'left' },
  { heading: 'USED', align: 'right' },
  { heading: 'RESERVED', align: 'right' },
  { heading: 'CAPACITY', align: 'right' },
  { heading: 'BYTES/S', align: 'right' },
]

export const nodes: Verb = {
  usage: 'nodes [--dir DIR] [--json]',
  summary: 'list the storage nodes',
  shape: { options: { json: 'flag', ...dirOption }, required: [], optional: [] },
  async run({ args, config, print }) {
    const credentials = findCredentials(args, config)
    const nodes = await requestAll<NodeReply>(credentials, '/v1/nodes', 'nodes')
    print(args.flag('json') ? JSON.stringify(nodes) : formatTable(columns, nodes.flatMap(rowsOf)))
    return 0
  },
}

/** One row per tier; a starting node has none yet. */
function rowsOf(node: NodeReply): string[][] {
  const head = [node.id, node.class, node.state, node.address, String(node.pid ?? '')]
  const tiers = Object.entries(node.tiers)
  if (tiers.length === 0) return [head]
  return tiers.map(([tier, { usedBytes, reservedBytes, capacityBytes }]) => [
    ...head,
    tier,
    ...[usedBytes, reservedBytes, capacityBytes, node.bytesPerSecond.used].map(formatBytes),
  ])
}
