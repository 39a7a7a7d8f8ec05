import { isError } from '../protocol/errors.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Background } from '../service/process/background.ts'
import { callContexts } from '../service/tracing/call-contexts.ts'
import type { TaskFailures } from './events/task-failures.ts'
import type { JobLifecycle } from './jobs/job-lifecycle.ts'
import { hasLapsed } from './jobs/lease.ts'
import type { Registrations } from './jobs/registrations.ts'
import type { Ledger } from './ledger/ledger.ts'
import { EXPECTED_ROUNDS } from './limits.ts'
import type { FleetCapacity } from './nodes/capacity.ts'
import { FailureDetector } from './nodes/failure-detector.ts'
import type { NodeLifecycle } from './nodes/node-lifecycle.ts'
import type { NodeRegistry } from './nodes/registry.ts'
import { planExpectedNodes, planWarmNodes } from './nodes/warm-nodes.ts'
import type { Placer } from './placement/placer.ts'
import { type Job, scopeOf } from './records/job.ts'
import { inFillOrder } from './records/node.ts'
import type { Drains } from './scaling/drains.ts'
import type { MetadataScaler } from './scaling/metadata-scaler.ts'
import type { Reconciler } from './scaling/reconciler.ts'
import type { Rollout } from './scaling/rollout.ts'
import type { Scaler } from './scaling/scaler.ts'
import type { Expected } from './sizing/arrivals.ts'
import type { NodeClass } from './sizing/node-class.ts'
import type { Demand, Hints, Sizing } from './sizing/rightsizing.ts'

const WARM = 'fewer nodes than warmNodes wait for a registration'
const EXPECTED = 'a job that runs regularly is expected'

export interface ControlLoopOptions {
  readonly clock: Clock
  readonly background: Background
  readonly tasks: TaskFailures
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly fleetCapacity: FleetCapacity
  readonly nodeLifecycle: NodeLifecycle
  readonly jobs: JobLifecycle
  readonly registrations: Registrations
  readonly reconciler: Reconciler
  readonly drains: Drains
  readonly scaler: Scaler
  readonly rollout: Rollout
  readonly metadataScaler: MetadataScaler
  readonly warmNodes: number
  /** The class of the warm nodes. */
  readonly firstClass: NodeClass
  readonly placer: Placer
  /** Sizes a job of an owner and name by the present state. Throws `RESERVATION_REFUSED`. */
  readonly size: (scope: string, hints: Hints) => Sizing
}

/** Periodic work: leases, start deadlines, scaling, warm nodes, retries of the reconciler. */
export class ControlLoop {
  readonly #options: ControlLoopOptions
  readonly #failureDetector = new FailureDetector()
  /** Nodes on which jobs are expected. */
  #expected: ReadonlySet<string> = new Set()
  #rounds = 0

  constructor(options: ControlLoopOptions) {
    this.#options = options
  }

  /** To be called every `HEARTBEAT_MS`. A failing step does not stop the others. Never rejects. */
  async round(): Promise<void> {
    const { ledger, registrations, reconciler, drains, scaler, rollout, metadataScaler, nodeLifecycle } =
      this.#options
    const { background, tasks, clock } = this.#options
    const isLook = this.#rounds++ % EXPECTED_ROUNDS === 0
    const parts: Readonly<Record<string, () => unknown>> = {
      starts: () => nodeLifecycle.checkStarts(),
      failureDetector: () => this.#stopSilent(),
      leases: () => this.#endLapsed(),
      reconcile: () => reconciler.retry(),
      registrations: () => registrations.retryWaiting(),
      scaler: () => scaler.round(),
      metadataScaler: () => metadataScaler.round(),
      drains: () => drains.round(),
      rollout: () => rollout.round(),
      expected: () => isLook && this.#startExpected(),
      balanceWarmNodes: () => this.balance(),
      uses: () => ledger.writeUses(),
      lostNodes: () => nodeLifecycle.forgetLost(reconciler.unreported),
    }
    // Each round has a request id, which the log lines of all planes about its decisions contain.
    const round = clock.wallMs().toString(36)
    for (const [part, work] of Object.entries(parts)) {
      const context = { request: `${part}-${round}`, traceparent: '' }
      await callContexts.run(context, () => background.attempt(['controlLoop', part], work))
    }
    tasks.onReport('controller', background.report())
  }

  #stopSilent(): void {
    const { nodes, clock, nodeLifecycle } = this.#options
    for (const { node, silentMs } of this.#failureDetector.check(nodes.all(), clock.monotonicMs())) {
      nodeLifecycle.stopSilent(node, silentMs)
    }
  }

  #endLapsed(): void {
    const { ledger, jobs } = this.#options
    for (const job of ledger.living()) {
      if (job.state === 'ending') jobs.endInBackground(job.id, job.endReason ?? 'failed')
      else if (job.state === 'active' && this.#hasLapsedLease(job)) jobs.endInBackground(job.id, 'lease')
    }
  }

  /** Stops empty nodes, except the warm ones for the next registration. */
  balance(): void {
    const { ledger, nodes, warmNodes, firstClass, fleetCapacity, nodeLifecycle } = this.#options
    if (fleetCapacity.isFixed) return
    const reserved = ledger.reserved()
    const { stop, start } = planWarmNodes({
      open: inFillOrder(nodes.all()).map(({ record }) => record.id),
      reserved: new Set(reserved.keys()),
      warmNodes,
      expected: this.#expected,
      room: fleetCapacity.rooms(reserved).find(({ nodeClass }) => nodeClass === firstClass)?.nodes ?? 0,
    })
    for (const node of stop) nodeLifecycle.stopInBackground(node)
    if (!nodeLifecycle.mayStart(firstClass.name)) return
    for (let count = 0; count < start; count++) nodeLifecycle.start(firstClass, nodeLifecycle.newId(), WARM)
  }

  /** Starts nodes for jobs that are likely to be registered soon, and keeps them until the jobs are overdue. */
  #startExpected(): void {
    const { ledger, placer, clock, nodeLifecycle } = this.#options
    const running = new Set(ledger.living().map(scopeOf))
    const expected = ledger.arrivals.expected(clock.wallMs(), running)
    const demands = expected.flatMap((job) => this.#demandOf(job) ?? [])
    const { used, started } = planExpectedNodes(demands, placer.fleet(), () => nodeLifecycle.newId())
    this.#expected = used
    for (const { node, nodeClass } of started)
      if (nodeLifecycle.mayStart(nodeClass.name)) nodeLifecycle.start(nodeClass, node, EXPECTED)
  }

  #demandOf({ name, hints }: Expected): Demand | null {
    try {
      return this.#options.size(name, hints).demand
    } catch (error) {
      if (!isError(error, 'RESERVATION_REFUSED')) throw error
      return null
    }
  }

  #hasLapsedLease(job: Job): boolean {
    const { ledger, nodes, reconciler, clock } = this.#options
    if (reconciler.isInterrupted(job.id)) return false
    const reports = job.shares
      .filter(({ node }) => nodes.isAlive(node))
      .map(({ node }) => nodes.get(node)?.reportedMs ?? null)
    const knownUntilMs = reports.reduce<number | null>(
      (oldest, reported) => (oldest === null || reported === null ? null : Math.min(oldest, reported)),
      clock.monotonicMs(),
    )
    return hasLapsed({ usedMs: ledger.usedMs(job.id), knownUntilMs }, job.leaseSeconds * 1000)
  }
}
