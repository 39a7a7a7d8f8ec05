import { STANDSTILL_MS } from '../../protocol/limits.ts'
import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import type { JobUsageReport, TierReport } from '../../protocol/operations/reports.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { bytesByTier } from '../job/counters.ts'
import type { NodeJob } from '../job/job.ts'
import { TTL_SWEEP_MS } from '../limits.ts'

/**
 * What a node reports about the use of its jobs. Time in which nobody could use a job is not idle time, or its
 * lease would lapse at the controller: after a suspension of this process, and while it has no lease of the
 * job's metadata server, idle time starts anew.
 */
export class UsageReports {
  readonly #clock: Clock
  /** When this process was last known to run, monotonic ms. */
  #awakeMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#awakeMs = clock.monotonicMs()
  }

  /** To be called every `TTL_SWEEP_MS`; a report does so too. */
  check(jobs: Iterable<NodeJob>): void {
    const nowMs = this.#clock.monotonicMs()
    const wasSuspended = nowMs - this.#awakeMs > TTL_SWEEP_MS + STANDSTILL_MS
    this.#awakeMs = nowMs
    for (const job of jobs) if (wasSuspended || !job.hasLease) job.idle.restart(nowMs)
  }

  /** The usage of each job; `elapsedMs` is the time since the last report. */
  report(jobs: Iterable<NodeJob>, elapsedMs: number): JobUsageReport[] {
    const all = [...jobs]
    this.check(all)
    const nowMs = this.#clock.monotonicMs()
    const present = all.filter((job) => job.hasSlots)
    return present.map((job) => {
      return {
        id: job.id,
        objects: job.objects,
        bytes: bytesByTier(job),
        tiers: activityByTier(job),
        stored: job.counters.stored,
        readSquares: job.counters.readSquares,
        bytesPerSecond: Math.round((job.takeMoved() * 1000) / Math.max(1, elapsedMs)),
        idleMs: Math.round(job.idle.take(nowMs)),
      }
    })
  }
}

/** On each tier with past or present objects. */
function activityByTier(job: NodeJob): Partial<Record<Tier, TierReport>> {
  const below = [...job.tiers.used()]
  const objectsOn = (tier: Tier): number =>
    tier === 'ram'
      ? Math.max(0, job.objects - below.reduce((sum, { objects }) => sum + objects, 0))
      : (below.find((used) => tiers[used.tier] === tier)?.objects ?? 0)
  const all = [...job.counters.movements()].map(([tier, movement]) => {
    return [tier, { objects: objectsOn(tier), ...movement }] as const
  })
  return Object.fromEntries(all.filter(([, report]) => Object.values(report).some((number) => number > 0)))
}
