import { useState } from 'preact/hooks'
import type { NodeShown, Snapshot } from '../../controller/api/console/snapshot.ts'
import { Bar, fullness } from './bar.tsx'
import { formatBytes, formatNumber } from './format.ts'

interface NodesProps {
  readonly snapshot: Snapshot
  readonly chosen: string | null
  readonly onChoose: (id: string) => void
}

const tierNames: Readonly<Record<string, string>> = { ram: 'RAM', ssd: 'SSD', s3: 'S3' }

/** Nodes of a class that are shown at first, and how many more with each press of the button. */
const NODES_SHOWN = 24

/** Storage nodes by class, the fullest first, with a bar for each tier. */
export function Nodes({ snapshot, chosen, onChoose }: NodesProps) {
  const classes = Map.groupBy(snapshot.nodes, (node) => node.class)
  const hidden = snapshot.nodesTotal - snapshot.nodes.length
  return (
    <section class="panel" aria-labelledby="nodes-title">
      <h2 id="nodes-title">Nodes</h2>
      <p class="legend" aria-hidden="true">
        <span>
          <i class="swatch used" />
          used
        </span>
        <span>
          <i class="swatch reserved" />
          reserved
        </span>
        <span>
          <i class="swatch free" />
          free
        </span>
      </p>
      {snapshot.nodes.length === 0 && <p class="empty">No node runs. The next registration starts one.</p>}
      {[...classes].map(([name, nodes]) => (
        <Class key={name} {...{ name, nodes, chosen, onChoose }} />
      ))}
      {hidden > 0 && <p class="muted">{hidden} more nodes are not shown.</p>}
    </section>
  )
}

function Class({
  name,
  nodes,
  chosen,
  onChoose,
}: Omit<NodesProps, 'snapshot'> & { readonly name: string; readonly nodes: readonly NodeShown[] }) {
  const [most, setMost] = useState(NODES_SHOWN)
  const rest = nodes.length - most
  return (
    <div>
      <h3>
        Class {name}{' '}
        <span class="muted">
          {nodes.length} nodes{rest > 0 && `, the ${most} fullest are shown`}
        </span>
      </h3>
      <ul class="nodes">
        {nodes.slice(0, most).map((node) => (
          <Node key={node.id} node={node} isChosen={node.id === chosen} onChoose={onChoose} />
        ))}
      </ul>
      {rest > 0 && (
        <button type="button" class="more" onClick={() => setMost(most + NODES_SHOWN)}>
          Show {Math.min(NODES_SHOWN, rest)} more
        </button>
      )}
    </div>
  )
}

function Node({
  node,
  isChosen,
  onChoose,
}: {
  node: NodeShown
  isChosen: boolean
  onChoose: (id: string) => void
}) {
  const fullTiers = Object.entries(node.tiers).filter(([, amounts]) => fullness(amounts) === 'full')
  return (
    <li class={`node ${isChosen ? 'chosen' : ''}`}>
      <div class="node-head">
        <button type="button" class="link" aria-pressed={isChosen} onClick={() => onChoose(node.id)}>
          {node.id}
        </button>
        <span class={`badge ${node.state}`}>{node.state}</span>
        {fullTiers.map(([tier]) => (
          <span key={tier} class="badge full">
            {tierNames[tier] ?? tier} full
          </span>
        ))}
        <span class="muted right">
          {formatNumber(node.cores.used)} of {formatNumber(node.cores.capacity)} cores
        </span>
      </div>
      {Object.entries(node.tiers).map(([tier, amounts]) => (
        <Bar key={tier} name={tierNames[tier] ?? tier} amounts={amounts} />
      ))}
      <Bar name="Rate" amounts={node.bytesPerSecond} unit="/s" />
      <p class="muted small">
        {node.jobs.length === 0
          ? 'No job'
          : node.jobs.map((job) => `${job.name} ${formatBytes(job.bytes)}`).join(' · ')}
      </p>
    </li>
  )
}
