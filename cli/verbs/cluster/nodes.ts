import { requestAll } from '../../api/http.ts'
import { onReply } from '../../api/on-reply.ts'
import type { NodeReply } from '../../api/replies.ts'
import { type Column, formatBytes, formatTable, stateColumn } from '../../terminal/table.ts'
import { painter } from '../../terminal/terminal.ts'
import { type AddVerb, addVerb } from '../../verb.ts'

const columns: readonly Column[] = [
  { heading: 'NODE', align: 'left' },
  { heading: 'CLASS', align: 'left' },
  stateColumn,
  { heading: 'ADDRESS', align: 'left' },
  { heading: 'PID', align: 'right' },
  { heading: 'TIER', align: 'left' },
  { heading: 'USED', align: 'right' },
  { heading: 'RESERVED', align: 'right' },
  { heading: 'CAPACITY', align: 'right' },
  { heading: 'BYTES/S', align: 'right' },
]

export const nodes: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'nodes', {
    summary: 'list the storage nodes',
    details: 'One row for each tier of a node: what jobs use and have reserved there.',
    examples: ['mayfly nodes', "mayfly nodes --json | jq '.[].id'"],
  })
  onReply(verb, cli, {
    ask: ({ credentials }) => requestAll<NodeReply>(credentials, 'nodes'),
    text: (nodes) => formatTable(columns, nodes.flatMap(rowsOf), painter(cli.terminal)),
  })
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
