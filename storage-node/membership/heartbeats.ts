import { isError } from '../../protocol/errors.ts'
import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import { heartbeatOperations } from '../../protocol/operations/plane-operations.ts'
import type {
  CallsReport,
  JobUsageReport,
  NodeReport,
  NodeReportAnswer,
} from '../../protocol/operations/reports.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { CallerPool } from '../../protocol/transport/caller-pool.ts'
import type { Background } from '../../service/process/background.ts'
import { CpuMeter } from '../../service/process/cpu-meter.ts'
import type { TierBudget } from '../budget/budget.ts'
import { HEARTBEAT_CALL_MS, HEARTBEAT_JOBS_MAX } from '../limits.ts'
import type { LowerTier } from '../tiers/job-tiers.ts'

export interface HeartbeatOptions {
  readonly clock: Clock
  readonly background: Background
  readonly pool: CallerPool
  /** The constant part of every report. */
  readonly self: Pick<NodeReport, 'class' | 'address' | 'pid' | 'metrics'>
  readonly calls: () => CallsReport
  /** CPU seconds that this process has used since its start. */
  readonly cpuSeconds: () => number
  /** Sends a report to the controller. */
  readonly tellController: (report: NodeReport) => Promise<NodeReportAnswer>
  /** The controller has emptied this node: it must end. */
  readonly onEnd: () => void
  /** The slots of this node were reassigned: it must end. */
  readonly onDead: (reason: Error) => void
}

/** The node that reports. */
export interface ReportedNode {
  readonly id: string
  readonly ram: TierBudget
  readonly lower: readonly LowerTier[]
  report(elapsedMs: number): JobUsageReport[]
  readonly ownership: {
    /** Metadata servers of the jobs that the node knows. */
    readonly metadataServers: ReadonlySet<string>
    jobsOf(metadata: string): string[]
    renewLease(
      metadata: string,
      untilMs: number,
      moved: readonly { readonly job: string; readonly term: number }[],
    ): void
  }
  dropJob(id: string): Promise<void>
}

/** Reports usage to the controller and liveness to each metadata server, independently. */
export class Heartbeats {
  readonly #node: ReportedNode
  readonly #options: HeartbeatOptions
  #metadata: readonly string[] = []
  #reportedMs: number
  readonly #cpu: CpuMeter
  /** Ends the drain of this node; null while nobody has told it to end. */
  #ended: (() => void) | null = null
  /** Running heartbeats, by server address. */
  readonly #beating = new Map<string, Promise<void>>()

  constructor(node: ReportedNode, options: HeartbeatOptions) {
    this.#node = node
    this.#options = options
    this.#reportedMs = options.clock.monotonicMs()
    this.#cpu = new CpuMeter(options.clock, options.cpuSeconds)
  }

  /**
   * Registers with the controller, which names the metadata servers, and requests the first leases. Never
   * rejects.
   */
  async begin(): Promise<void> {
    await this.beatController()
    await this.beatMetadata()
  }

  /**
   * Reports from now on that the process ends. Resolves when the controller has emptied the node, when it does not know the node or does
   * not answer although no slot is here, and when `hurry` is aborted.
   */
  async drain(hurry: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#ended = resolve
      if (hurry.aborted) return resolve()
      hurry.addEventListener('abort', () => resolve(), { once: true })
      void this.beatController()
    })
  }

  /**
   * Sends one heartbeat to each metadata server, also to those that the controller has not named but that
   * sent a job. Resolves when all have answered or failed. The next round must not wait for it: an
   * unreachable machine can take longer to fail than the leases of the other servers last. Never rejects.
   */
  async beatMetadata(): Promise<void> {
    const servers = new Set([...this.#metadata, ...this.#node.ownership.metadataServers])
    await Promise.all([...servers].map((address) => this.beatServer(address)))
  }

  /** Sends one report to the controller. Never rejects. */
  async beatController(): Promise<void> {
    const { clock, background, self, tellController, calls, onDead } = this.#options
    const now = clock.monotonicMs()
    const elapsedMs = now - this.#reportedMs
    const jobs = this.#node.report(elapsedMs)
    this.#reportedMs = now
    const bytesPerSecond = jobs.reduce((sum, job) => sum + job.bytesPerSecond, 0)
    try {
      const answer = await tellController({
        ...self,
        cpuCores: this.#cpu.takeCores(),
        tiers: tiersOf(this.#node),
        bytesPerSecond,
        jobs,
        tasks: background.report(),
        calls: calls(),
        ...(this.#ended !== null && { ending: true }),
      })
      const unknown = answer.metadata.filter((address) => !this.#metadata.includes(address))
      this.#metadata = answer.metadata
      // A new server may soon assign jobs to this node, which need its lease.
      for (const address of unknown) void this.beatServer(address)
      background.succeeded(['report', 'controller'])
      if (answer.end === true) (this.#ended ?? this.#options.onEnd)()
    } catch (error) {
      // Metadata has said so, at an address that this node may not know: another process may be the server by now.
      if (isError(error, 'NODE_DEAD')) return onDead(error)
      background.failed(['report', 'controller'], error)
      if (jobs.length === 0) this.#ended?.()
    }
  }

  /**
   * Sends one heartbeat to the metadata server at `address`, which answers with a lease; one at a time. Never
   * rejects.
   */
  beatServer(address: string): Promise<void> {
    let beating = this.#beating.get(address)
    if (beating === undefined) {
      beating = this.#beat(address).finally(() => this.#beating.delete(address))
      this.#beating.set(address, beating)
    }
    return beating
  }

  async #beat(address: string): Promise<void> {
    const { clock, background, pool, onDead } = this.#options
    const sentMs = clock.monotonicMs()
    const jobs = this.#node.ownership.jobsOf(address)
    const { id: node } = this.#node
    try {
      const caller = await pool.to(address)
      const deadlineMs = sentMs + HEARTBEAT_CALL_MS
      // All jobs of a server share one lease. It is renewed only after the server has named the jobs that it
      // transferred.
      const beats = batchesOf(jobs, HEARTBEAT_JOBS_MAX).map((named) =>
        caller.call(heartbeatOperations.heartbeat, { node, jobs: named }, { deadlineMs }),
      )
      const heads = (await Promise.all(beats)).map(({ head }) => head)
      const leaseMs = Math.min(...heads.map((head) => head.leaseMs))
      const moved = heads.flatMap((head) => head.moved)
      this.#node.ownership.renewLease(address, sentMs + leaseMs, moved)
      const living = new Set([...heads.flatMap((head) => head.jobs), ...moved.map(({ job }) => job)])
      for (const job of jobs) if (!living.has(job)) void this.#node.dropJob(job)
      background.succeeded(['heartbeat', address])
    } catch (error) {
      if (isError(error, 'NODE_DEAD')) onDead(error)
      else background.failed(['heartbeat', address], error)
    }
  }
}

/** At least one batch, which may be empty. */
function batchesOf<Item>(items: readonly Item[], itemsMax: number): Item[][] {
  const count = Math.max(1, Math.ceil(items.length / itemsMax))
  return Array.from({ length: count }, (_, index) => items.slice(index * itemsMax, (index + 1) * itemsMax))
}

/** Capacity and use of each tier of the node. */
export function tiersOf({ ram, lower }: Pick<ReportedNode, 'ram' | 'lower'>): NodeReport['tiers'] {
  const sizes: Partial<Record<Tier, { capacityBytes: number; usedBytes: number }>> = { ram: sizeOf(ram) }
  for (const { number, budget } of lower) {
    const name = tiers[number]
    if (name !== undefined) sizes[name] = sizeOf(budget)
  }
  return sizes
}

function sizeOf(budget: TierBudget): { capacityBytes: number; usedBytes: number } {
  const { capacityBytes, usedBytes, overheadBytes } = budget
  return {
    capacityBytes: Number.isFinite(capacityBytes) ? capacityBytes : 0,
    usedBytes: usedBytes + overheadBytes,
  }
}
