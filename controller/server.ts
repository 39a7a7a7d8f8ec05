import type { AddressInfo } from 'node:net'
import { BACKLOG_MAX, HEARTBEAT_MS, HTTP_STOP_MS_MAX } from '../protocol/limits.ts'
import type { Runtime } from '../protocol/runtime.ts'
import { formatAddress } from '../protocol/transport/tcp.ts'
import { openKept } from '../service/kept/open-kept.ts'
import type { Background } from '../service/process/background.ts'
import type { Service } from '../service/process/lifecycle.ts'
import type { Logger } from '../service/process/log.ts'
import { Serial } from '../service/process/serial.ts'
import { bindError } from '../service/server/listener.ts'
import { Keys } from './access/keys.ts'
import { EventStreams } from './api/event-streams.ts'
import { buildHttpApi } from './api/http-api.ts'
import { clusterMetrics } from './api/metrics.ts'
import { Views } from './api/views.ts'
import type { ControllerConfig } from './config.ts'
import { ControlLoop } from './control-loop.ts'
import { Events } from './events/events.ts'
import { TaskFailures } from './events/task-failures.ts'
import { Admission } from './jobs/admission.ts'
import { JobLifecycle } from './jobs/job-lifecycle.ts'
import { Registrations } from './jobs/registrations.ts'
import { Tickets } from './jobs/tickets.ts'
import { Usage } from './jobs/usage.ts'
import type { MetadataClient } from './metadata/client.ts'
import { MetadataServers } from './metadata/servers.ts'
import type { Fleet } from './nodes/fleet/fleet.ts'
import { NodeRegistry } from './nodes/registry.ts'
import { sweepPersisted } from './persisted-sweep.ts'
import { Ledger } from './placement/ledger.ts'
import { Placer } from './placement/placer.ts'
import { AutoResize } from './scaling/auto-resize.ts'
import { Drains } from './scaling/drains.ts'
import { JobTransfers } from './scaling/job-transfers.ts'
import { MetadataScaler } from './scaling/metadata-scaler.ts'
import { Reconciler } from './scaling/reconciler.ts'
import { Relocations } from './scaling/relocations.ts'
import { Scaler } from './scaling/scaler.ts'
import { latencyClassOf } from './sizing/latency-class.ts'
import { type Hints, rightsize } from './sizing/rightsizing.ts'
import type { Store } from './store/store.ts'

/** What the controller reaches beyond itself; the tests have others. */
export interface Surroundings {
  readonly runtime: Runtime
  /** Closed when the controller has stopped, or could not start. */
  readonly store: Store
  readonly fleet: Fleet
  readonly metadataClient: MetadataClient
  readonly log: Logger
  /** Stopped with the controller. */
  readonly background: Background
}

/** Starts the controller: it takes over what its store has and serves until it is stopped. */
export async function startController(config: ControllerConfig, around: Surroundings): Promise<Service> {
  const { runtime, store, fleet, metadataClient, log, background } = around
  const { clock } = runtime
  const { classes, firstClass, traits, warmNodes, secret, apiKeys, quota } = config
  const stopping = new AbortController()
  const stopped = stopping.signal
  const events = new Events(clock)
  const tasks = new TaskFailures(events)
  const serial = new Serial()
  const ledger = new Ledger(store, clock)
  const usage = new Usage()
  const nodes: NodeRegistry = new NodeRegistry({
    runtime,
    store,
    fleet,
    classes,
    pricePerHourMax: quota.pricePerHour ?? Number.POSITIVE_INFINITY,
    hasS3: config.s3 !== null,
    events,
    log,
    background,
    stopped,
    onLost: (node) => {
      usage.forget(node.record.id)
      tasks.forget(node.record.id)
      repair.nodeLost(node)
      upkeep.balance()
      registrations.review()
    },
    onStopped: (node) => {
      usage.forget(node.record.id)
      tasks.forget(node.record.id)
      repair.nodeStopped(node)
      registrations.review()
    },
    isReserved: (node) => ledger.isReserved(node),
  })
  const metadata = new MetadataServers({ runtime, client: metadataClient, events, stopped })
  const placer = new Placer({ ledger, nodes })
  const keys = new Keys({ configured: apiKeys, store, runtime })
  const admission = new Admission({ ledger, nodes, placer, quota, keys })
  const tickets = new Tickets({ secret, clock, metadata })
  const shared = {
    runtime,
    clock,
    ledger,
    usage,
    nodes,
    placer,
    admission,
    metadata,
    tickets,
    events,
    log,
    background,
    tasks,
    serial,
  }
  const life = {
    ...shared,
    size: (scope: string, hints: Hints) => {
      const learned = ledger.learned(scope)
      return rightsize(hints, { nodeClass: firstClass, classes, traits, served: nodes.served, learned })
    },
    onFreed: () => {
      upkeep.balance()
      registrations.review()
    },
    onUnsure: (job: string) => repair.want(job),
  }
  const jobs: JobLifecycle = new JobLifecycle(life)
  const registrations: Registrations = new Registrations({ ...life, jobs, stopped })
  const repair = new Reconciler({ ...shared, jobs })
  const drains = new Drains({ ...shared, jobs, repair })
  const relocations = new Relocations({ ...shared, jobs, repair })
  const allowedTiers = (hints: Hints) => latencyClassOf(hints, { served: nodes.served, traits }).allowed
  const growth = new AutoResize({ ...life, jobs, repair, allowedTiers })
  const scaler = new Scaler({ ...shared, classes, jobs, registrations, repair, drains, relocations, growth })
  const moves = new JobTransfers({ ...shared, jobs })
  const metadataScaler = new MetadataScaler({ ...shared, fleet, moves })
  const scalers = { scaler, metadataScaler }
  const upkeep = new ControlLoop({
    ...life,
    jobs,
    registrations,
    repair,
    drains,
    ...scalers,
    warmNodes,
    firstClass,
  })
  const views = new Views({ ...shared, registrations, classes, warmNodes, quota, keys })
  const streams = new EventStreams(events, clock)
  const metrics = clusterMetrics(views, events, tasks)
  const kept = await openKept({ dir: config.keptDir, s3: config.s3 }, clock)
  const server = await buildHttpApi({
    ...shared,
    jobs,
    registrations,
    repair,
    drains,
    relocations,
    growth,
    moves,
    views,
    streams,
    metrics,
    kept: kept.store,
    keys,
    secret,
    stopped,
  })

  const stored = await store.load()
  ledger.restore(stored)
  nodes.restore(stored.nodes)
  keys.restore(stored.apiKeys)
  const running = await fleet.list()
  const { host, port } = config.listen
  await server.listen({ host, port, backlog: BACKLOG_MAX }).catch(async (cause: NodeJS.ErrnoException) => {
    await store.close()
    throw bindError({ host, port }, cause)
  })
  // Nothing is started or ended before the port is ours.
  nodes.compare(running)
  await takeUp(ledger, { jobs, registrations })
  upkeep.balance()
  const heartbeat = background.every(HEARTBEAT_MS, ['upkeep', 'round'], () => upkeep.round())
  const sweeping = sweepPersisted(kept.store, { background, log, ledger })
  return {
    address: formatAddress(host, (server.server.address() as AddressInfo).port),
    stop: async () => {
      stopping.abort()
      background.stop()
      heartbeat.cancel()
      sweeping.cancel()
      streams.close()
      // Node counts a connection on which nothing was asked yet as busy; a client may hold one for minutes.
      const cut = clock.after(HTTP_STOP_MS_MAX, () => server.server.closeAllConnections())
      await server.close()
      cut.cancel()
      kept.close()
      await store.close()
    },
  }
}

/** Registrations that were cut off are rolled back, as nobody was told of them; endings are carried on. */
async function takeUp(
  ledger: Ledger,
  { jobs, registrations }: { jobs: JobLifecycle; registrations: Registrations },
): Promise<void> {
  for (const { id, state, endReason } of ledger.living()) {
    if (state === 'registering') await registrations.giveUp(id)
    else if (state === 'ending') jobs.endInBackground(id, endReason ?? 'failed')
  }
}
