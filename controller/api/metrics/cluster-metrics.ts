import type { Registry } from 'prom-client'
import { tiers } from '../../../protocol/operations/data-operations.ts'
import type { TierReport } from '../../../protocol/operations/reports.ts'
import { scrapedCounter, scrapedGauge } from '../../../service/metrics/scraped.ts'
import type { Events } from '../../events/events.ts'
import { eventTypes } from '../../events/events.ts'
import type { TaskFailures } from '../../events/task-failures.ts'
import { METRICS_JOBS_MAX } from '../../limits.ts'
import type { Views } from '../views.ts'

/** Counters of each running job, by tier. */
const jobCounters: Readonly<Record<string, { help: string; of: (use: TierReport) => number }>> = {
  mayfly_job_hits_total: {
    help: 'Reads of objects and chunks that found their bytes on the tier',
    of: ({ hits }) => hits,
  },
  mayfly_job_demoted_objects_total: {
    help: 'Objects and chunks that left the tier for a lower one',
    of: ({ demotedObjects }) => demotedObjects,
  },
  mayfly_job_demoted_bytes_total: {
    help: 'Bytes that left the tier for a lower one',
    of: ({ demotedBytes }) => demotedBytes,
  },
  mayfly_job_promoted_objects_total: {
    help: 'Objects and chunks that left the tier for RAM, because they were read',
    of: ({ promotedObjects }) => promotedObjects,
  },
  mayfly_job_promoted_bytes_total: {
    help: 'Bytes that left the tier for RAM, because they were read',
    of: ({ promotedBytes }) => promotedBytes,
  },
  mayfly_job_dropped_moves_total: {
    help: 'Moves from the tier that came to nothing: the object changed, or the other tier did not take it',
    of: ({ droppedMoves }) => droppedMoves,
  },
}

/** Amounts of the cluster. Each is a metric of its own, so that a sum over its labels means something. */
const kinds = {
  limit: 'with as many nodes as the classes allow',
  capacity: 'of the nodes that run or start',
  asked: 'by the hints of all living jobs',
  reserved: 'by all living jobs',
  used: 'by all living jobs now',
  free: 'of the capacity, reserved by nobody',
} as const

/** Prometheus metrics of the cluster, computed from its state at each scrape. */
export function addClusterMetrics(
  registry: Registry,
  { views, events, tasks }: { views: Views; events: Events; tasks: TaskFailures },
): void {
  const cluster = oncePerTurn(() => views.cluster())
  const largest = oncePerTurn(() => views.largest(METRICS_JOBS_MAX))
  scrapedGauge(registry, 'mayfly_jobs', {
    help: 'Living jobs by state',
    labelNames: ['state'],
    read: () => Object.entries(cluster().jobs).map(([state, jobs]) => [{ state }, jobs]),
  })
  scrapedGauge(registry, 'mayfly_registrations_waiting', {
    help: 'Registrations that wait for room',
    read: () => [[{}, cluster().waiting]],
  })
  scrapedGauge(registry, 'mayfly_nodes', {
    help: 'Storage nodes by state',
    labelNames: ['state'],
    read: () => Object.entries(cluster().nodes).map(([state, nodes]) => [{ state }, nodes]),
  })
  for (const [kind, help] of Object.entries(kinds)) {
    const of = kind as keyof typeof kinds
    scrapedGauge(registry, `mayfly_cluster_${kind}_bytes`, {
      help: `Bytes of the cluster by tier: ${help}`,
      labelNames: ['tier'],
      read: () => Object.entries(cluster().totals.bytes).map(([tier, totals]) => [{ tier }, totals[of]]),
    })
    scrapedGauge(registry, `mayfly_cluster_${kind}_bytes_per_second`, {
      help: `Throughput of the cluster: ${help}`,
      read: () => [[{}, cluster().totals.bytesPerSecond[of]]],
    })
  }
  scrapedGauge(registry, 'mayfly_cluster_price_per_hour', {
    help: 'Price of the nodes that run or start, in the currency of the config file',
    read: () => [[{}, cluster().nodeClasses.reduce((sum, each) => sum + each.nodes * each.pricePerHour, 0)]],
  })
  const jobTiers = <Value>(of: (use: TierReport & { bytes: number }) => Value) =>
    largest().flatMap(({ id, name, usage }) =>
      tiers.flatMap((tier) => {
        const use = { ...usage.tiers[tier], bytes: usage.bytes[tier] }
        // Tiers that a job does not use have no series; most jobs use RAM alone.
        if (tier !== 'ram' && Object.values(use).every((number) => number === 0)) return []
        return [[{ job: id, name, tier }, of(use)] as const]
      }),
    )
  scrapedGauge(registry, 'mayfly_job_reserved_bytes', {
    help: 'Bytes that a living job has reserved by tier',
    labelNames: ['job', 'name', 'tier'],
    read: () =>
      largest().flatMap(({ id, name, reserved }) =>
        tiers
          .filter((tier) => tier === 'ram' || reserved[tier] > 0)
          .map((tier) => [{ job: id, name, tier }, reserved[tier]] as const),
      ),
  })
  scrapedGauge(registry, 'mayfly_job_bytes', {
    help: 'Bytes of each living job by tier',
    labelNames: ['job', 'name', 'tier'],
    read: () => jobTiers(({ bytes }) => bytes),
  })
  scrapedGauge(registry, 'mayfly_job_objects', {
    help: 'Objects of each living job by the tier where their bytes lie; a large one counts in RAM',
    labelNames: ['job', 'name', 'tier'],
    read: () => jobTiers(({ objects }) => objects),
  })
  for (const [name, { help, of }] of Object.entries(jobCounters))
    scrapedCounter(registry, name, {
      help,
      labelNames: ['job', 'name', 'tier'],
      read: () => jobTiers(of),
    })
  scrapedCounter(registry, 'mayfly_events_total', {
    help: 'What happened since the controller started, by type',
    labelNames: ['type'],
    read: () => eventTypes.map((type) => [{ type }, events.countOf(type)]),
  })
  scrapedGauge(registry, 'mayfly_tasks_failing', {
    help: 'Of how many jobs or nodes a background task of a process fails now',
    labelNames: ['process', 'task'],
    read: () => [...tasks.all()].map(({ process, task, failing }) => [{ process, task }, failing]),
  })
  scrapedCounter(registry, 'mayfly_task_failures_total', {
    help: 'Failures of background tasks since their process started',
    labelNames: ['process', 'task'],
    read: () => [...tasks.all()].map(({ process, task, failures }) => [{ process, task }, failures]),
  })
}

/** Calls `read` once per scrape: the registry collects all metrics in one turn of the event loop. */
function oncePerTurn<Value>(read: () => Value): () => Value {
  let held: { readonly value: Value } | null = null
  return () => {
    if (held === null) {
      held = { value: read() }
      queueMicrotask(() => {
        held = null
      })
    }
    return held.value
  }
}
