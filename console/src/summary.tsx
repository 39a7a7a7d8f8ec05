import type { EventShown, NodeShown, Snapshot } from '../../controller/api/console/snapshot.ts'
import { fullness } from './bar.tsx'
import { describeEvent, isDecision } from './event-text.ts'
import { formatAge, formatBytes, formatCount, formatMs, formatPercent, formatPrice } from './format.ts'

/** The most important figures. */
export function Tiles({ snapshot }: { snapshot: Snapshot }) {
  const { sample, nodesTotal, jobsTotal, waiting } = snapshot
  const { ram, bytesPerSecond, cost } = sample
  const total = cost.nodes + cost.s3
  return (
    <dl class="tiles">
      <Tile
        name="Nodes"
        value={String(nodesTotal)}
        note={`${jobsTotal} ${jobsTotal === 1 ? 'job' : 'jobs'}${waiting > 0 ? `, ${waiting} wait` : ''}`}
      />
      <Tile
        name="RAM used"
        value={formatPercent(ram.used, ram.capacity)}
        note={`${formatBytes(ram.used)} of ${formatBytes(ram.capacity)}`}
      />
      <Tile
        name="RAM reserved"
        value={formatPercent(ram.reserved, ram.capacity)}
        note={formatBytes(ram.reserved)}
      />
      <Tile
        name="Throughput"
        value={`${formatBytes(bytesPerSecond.used)}/s`}
        note={`${formatBytes(bytesPerSecond.reserved)}/s reserved`}
      />
      <Tile
        name="Calls"
        value={`${formatCount(sample.callsPerSecond)}/s`}
        note={`${formatCount(sample.errorsPerSecond)}/s failed`}
      />
      <Tile name="Latency p99" value={formatMs(sample.p99Ms)} note={`p50 ${formatMs(sample.p50Ms)}`} />
      <Tile
        name="Cost per hour"
        value={formatPrice(total)}
        note={
          cost.redisNodes === 0
            ? 'no job to compare'
            : `Redis on ${cost.redisNodes} whole machines: ${formatPrice(cost.redis)}`
        }
      />
    </dl>
  )
}

function Tile({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd class="value">{value}</dd>
      <dd class="note">{note}</dd>
    </div>
  )
}

/** How long a decision is shown. */
const NEWS_MS = 120_000

/** One sentence: the fullest node, the job that uses it most, and the controller's last decision. */
export function Headline({ snapshot, events }: { snapshot: Snapshot; events: readonly EventShown[] }) {
  const worst = snapshot.nodes.map(fullestOf).sort((a, b) => b.part - a.part)[0]
  const decision = events.find(isDecision)
  const isNews = decision !== undefined && snapshot.sample.atMs - decision.atMs < NEWS_MS
  const isFull = worst !== undefined && worst.kind !== 'calm'
  return (
    <p class={`headline ${isFull ? worst.kind : 'calm'}`}>
      {isFull ? (
        <>
          Node <b>{worst.node.id}</b> is {Math.round(worst.part * 100)} % full in {worst.tier.toUpperCase()}
          {worst.job !== undefined && (
            <>
              , mostly job <b>{worst.job.name}</b> with {formatBytes(worst.job.bytes)}
            </>
          )}
          .
        </>
      ) : (
        'No node is full.'
      )}{' '}
      {isNews && <Decision event={decision} nowMs={snapshot.sample.atMs} />}
    </p>
  )
}

function Decision({ event, nowMs }: { event: EventShown; nowMs: number }) {
  const { text, reason } = describeEvent(event)
  return (
    <>
      {text}
      {reason !== '' && ` (${reason})`}, {formatAge(nowMs - event.atMs)}.
    </>
  )
}

function fullestOf(node: NodeShown) {
  const [first] = Object.entries(node.tiers)
    .filter(([, { capacity }]) => capacity > 0)
    .map(([tier, amounts]) => ({ tier, part: amounts.used / amounts.capacity, kind: fullness(amounts) }))
    .sort((a, b) => b.part - a.part)
  return { node, job: node.jobs[0], ...(first ?? { tier: 'ram', part: 0, kind: 'calm' as const }) }
}
