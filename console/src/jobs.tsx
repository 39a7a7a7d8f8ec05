import type { JobPoint, JobShown, Snapshot } from '../../controller/api/console/snapshot.ts'
import { formatBytes, formatCount, formatPercent, formatPrice } from './format.ts'

interface JobsProps {
  readonly snapshot: Snapshot
  readonly history: ReadonlyMap<string, readonly JobPoint[]>
  readonly chosen: string | null
  readonly onChoose: (id: string) => void
}

/** Jobs, those with most reserved first, with use against reservation over time. */
export function Jobs({ snapshot, history, chosen, onChoose }: JobsProps) {
  const { jobs, jobsTotal } = snapshot
  return (
    <section class="panel" aria-labelledby="jobs-title">
      <h2 id="jobs-title">Jobs</h2>
      {jobs.length === 0 ? (
        <p class="empty">
          No job lives. Register one: <code>mayfly register NAME</code>
        </p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached by keyboard.
        <section class="scroll" tabIndex={0} aria-label="Table of jobs">
          <table>
            <thead>
              <tr>
                <th scope="col">Job</th>
                <th scope="col">Used of reserved</th>
                <th scope="col">Over time</th>
                <th scope="col" class="number">
                  Rate
                </th>
                <th scope="col" class="number">
                  Objects
                </th>
                <th scope="col" class="number">
                  Nodes
                </th>
                <th scope="col" class="number">
                  Cost/h
                </th>
              </tr>
            </thead>
            <tbody>
              {jobs.map((job) => (
                <Row
                  key={job.id}
                  job={job}
                  points={history.get(job.id) ?? []}
                  isChosen={job.id === chosen}
                  onChoose={onChoose}
                />
              ))}
            </tbody>
          </table>
        </section>
      )}
      {jobsTotal > jobs.length && <p class="muted">{jobsTotal - jobs.length} more jobs are not shown.</p>}
    </section>
  )
}

interface RowProps {
  readonly job: JobShown
  readonly points: readonly JobPoint[]
  readonly isChosen: boolean
  readonly onChoose: (id: string) => void
}

function Row({ job, points, isChosen, onChoose }: RowProps) {
  const { used, reserved, bytesPerSecond } = job
  return (
    <tr class={isChosen ? 'chosen' : ''}>
      <th scope="row">
        <button type="button" class="link" aria-pressed={isChosen} onClick={() => onChoose(job.id)}>
          {job.name}
        </button>
        {job.state !== 'active' && <span class={`badge ${job.state}`}>{job.state}</span>}
        <div class="muted small">
          {job.id.slice(0, 10)}… · {job.owner}
        </div>
      </th>
      <td>
        <b>{formatPercent(used, reserved)}</b>
        <div class="muted small">
          {formatBytes(used)} of {formatBytes(reserved)}
        </div>
      </td>
      <td>
        <Sparkline name={job.name} points={points} />
      </td>
      <td class="number">
        {formatBytes(bytesPerSecond.used)}/s
        <div class="muted small">of {formatBytes(bytesPerSecond.reserved)}/s</div>
      </td>
      <td class="number">{formatCount(job.objects)}</td>
      <td class="number">{job.nodes}</td>
      <td class="number">{formatPrice(job.pricePerHour)}</td>
    </tr>
  )
}

const WIDTH = 140
const HEIGHT = 30

/** Use as an area under the line of the reservation. */
function Sparkline({ name, points }: { name: string; points: readonly JobPoint[] }) {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined) return null
  const spanMs = Math.max(1, last[0] - first[0])
  const most = Math.max(1, ...points.map(([, used, reserved]) => Math.max(used, reserved)))
  const at = (atMs: number, bytes: number): string =>
    `${((WIDTH * (atMs - first[0])) / spanMs).toFixed(1)},${(HEIGHT - 1 - ((HEIGHT - 3) * bytes) / most).toFixed(1)}`
  const used = points.map(([atMs, bytes]) => at(atMs, bytes)).join(' ')
  const reserved = points.map(([atMs, , bytes]) => at(atMs, bytes)).join(' ')
  const label = `${name}: from ${formatBytes(first[1])} to ${formatBytes(last[1])} used, ${formatBytes(last[2])} reserved`
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      <polygon class="spark-area" points={`0,${HEIGHT - 1} ${used} ${WIDTH},${HEIGHT - 1}`} />
      <polyline class="spark-used" points={used} />
      <polyline class="spark-reserved" points={reserved} />
    </svg>
  )
}
