import type {
  CapacityAnswer,
  CapacityRequest,
  MetadataReport,
  MetadataReportAnswer,
  NodeReport,
  NodeReportAnswer,
} from '../../protocol/operations/reports.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Background } from '../../service/process/background.ts'
import type { TaskFailures } from '../events/task-failures.ts'
import { peakOf, type Usage } from '../jobs/usage.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { MetadataServers } from '../metadata/servers.ts'
import type { NodeLifecycle } from '../nodes/node-lifecycle.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import type { AutoResize } from '../scaling/auto-resize.ts'
import type { Drains } from '../scaling/drains.ts'
import type { Reconciler } from '../scaling/reconciler.ts'
import type { Relocations } from '../scaling/relocations.ts'

export interface ReportsOptions {
  readonly clock: Clock
  readonly background: Background
  readonly tasks: TaskFailures
  readonly nodes: NodeRegistry
  readonly nodeLifecycle: NodeLifecycle
  readonly ledger: Ledger
  readonly usage: Usage
  readonly metadata: MetadataServers
  readonly reconciler: Reconciler
  readonly drains: Drains
  readonly relocations: Relocations
  readonly autoResize: AutoResize
}

/** Handles the heartbeats of storage nodes and metadata servers. */
export class Reports {
  readonly #options: ReportsOptions

  constructor(options: ReportsOptions) {
    this.#options = options
  }

  /** A heartbeat of a storage node. Rejects as `NodeLifecycle.onReport`. */
  async node(id: string, report: NodeReport): Promise<NodeReportAnswer> {
    const { tasks, clock, ledger, usage, drains, relocations, metadata, nodeLifecycle } = this.#options
    const servers = metadata.all().map(({ address }) => address)
    if (nodeLifecycle.endsWith(id)) return { metadata: servers, end: true }
    await nodeLifecycle.onReport(id, report)
    tasks.onReport(id, report.tasks)
    const nowMs = clock.monotonicMs()
    // Late reports of a job that has ended are ignored.
    const living = report.jobs.filter((job) => !this.#hasEnded(job.id))
    usage.onReport(id, living)
    for (const { id: job, idleMs } of living) {
      ledger.touch(job, nowMs - idleMs)
      ledger.observe(job, { peak: peakOf(usage.useOf(job)), reads: usage.readsOf(job) })
    }
    if (report.ending === true) drains.beginEnding(id)
    drains.onReport(id, report)
    relocations.onReport(id, report)
    return { metadata: servers }
  }

  /** Jobs are filling up on a storage node. The answer lists the jobs that get no more capacity. */
  capacity(node: string, { jobs }: CapacityRequest): CapacityAnswer {
    const { usage, autoResize } = this.#options
    const limited = jobs.filter(({ id, bytes, waitingBytes }) => {
      if (this.#hasEnded(id)) return true
      usage.setHeldBytes(node, id, bytes)
      return !autoResize.request(id, waitingBytes)
    })
    return { limited: limited.map(({ id }) => id) }
  }

  /** A heartbeat of a metadata server. */
  metadata(id: string, report: MetadataReport): MetadataReportAnswer {
    const { metadata, background, reconciler, tasks, nodes, nodeLifecycle } = this.#options
    if (metadata.isSuperseded(id, report)) return { superseded: true, gone: [] }
    const { dead = [] } = report
    const gone = dead.filter((node) => !nodes.isAlive(node))
    for (const node of dead) nodeLifecycle.declaredDead(node)
    if (metadata.onReport(id, report)) {
      // A server that is silent again is compared anew with its next report.
      const isHeard = (): boolean => metadata.isHeard(id)
      void background.persist(['compareMetadata', id], () => reconciler.compare(id), isHeard)
    }
    tasks.onReport(id, report.tasks)
    return { superseded: false, gone }
  }

  #hasEnded(job: string): boolean {
    return (this.#options.ledger.get(job)?.state ?? 'ended') === 'ended'
  }
}
