import { HEARTBEAT_MS } from '../protocol/limits.ts'
import type { Runtime, Timer } from '../protocol/runtime.ts'
import type { Background } from '../service/process/background.ts'
import { KeyedMutex } from '../service/process/locks.ts'
import type { Logger } from '../service/process/log.ts'
import { Keys } from './access/keys.ts'
import { Reports } from './api/reports.ts'
import type { ControllerConfig } from './config.ts'
import { ControlLoop } from './control-loop.ts'
import { Events } from './events/events.ts'
import { TaskFailures } from './events/task-failures.ts'
import { Admission } from './jobs/admission.ts'
import { JobLifecycle } from './jobs/job-lifecycle.ts'
import { Registrations } from './jobs/registrations.ts'
import { S3Keys } from './jobs/s3-keys.ts'
import { Tickets } from './jobs/tickets.ts'
import { Usage } from './jobs/usage.ts'
import { Ledger } from './ledger/ledger.ts'
import type { MetadataClient } from './metadata/client.ts'
import { MetadataServers } from './metadata/servers.ts'
import { FleetCapacity } from './nodes/capacity.ts'
import type { Fleet } from './nodes/fleet/fleet.ts'
import { Gateways } from './nodes/gateways.ts'
import { NodeLifecycle } from './nodes/node-lifecycle.ts'
import { NodeRegistry } from './nodes/registry.ts'
import { StartFailures } from './nodes/start-failures.ts'
import { Placer } from './placement/placer.ts'
import { AutoResize } from './scaling/auto-resize.ts'
import { Drains } from './scaling/drains.ts'
import { JobTransfers } from './scaling/job-transfers.ts'
import { MetadataScaler } from './scaling/metadata-scaler.ts'
import { Reconciler } from './scaling/reconciler.ts'
import { Relocations } from './scaling/relocations.ts'
import { Rollout } from './scaling/rollout.ts'
import { Scaler } from './scaling/scaler.ts'
import { latencyClassOf } from './sizing/latency-class.ts'
import { type Hints, rightsize } from './sizing/rightsizing.ts'
import type { Store } from './store/store.ts'

/** The dependencies of the controller; tests pass their own. */
export interface ControllerDeps {
  readonly runtime: Runtime
  /** Closed when the controller has stopped or could not start. */
  readonly store: Store
  readonly fleet: Fleet
  readonly metadataClient: MetadataClient
  readonly log: Logger
  /** Stopped with the controller. */
  readonly background: Background
}

/** The settings that decisions depend on; the others belong to the HTTP API. */
export type DecidingConfig = Pick<
  ControllerConfig,
  'classes' | 'firstClass' | 'traits' | 'warmNodes' | 'secret' | 'apiKeys' | 'quota' | 's3' | 'tlsName'
>

/**
 * The controller without its HTTP API: every room below `api`, and the reports of the cluster's own processes. Inactive until `load` and
 * `begin`.
 */
export function createController(config: DecidingConfig, deps: ControllerDeps) {
  const { runtime, store, fleet, metadataClient, log, background } = deps
  const { clock } = runtime
  const { classes, firstClass, traits, warmNodes, secret, apiKeys, quota } = config
  const stopping = new AbortController()
  const stopped = stopping.signal
  const events = new Events(clock)
  const tasks = new TaskFailures(events)
  const serial = new KeyedMutex()
  const ledger = new Ledger(store, clock)
  const usage = new Usage()
  const nodes = new NodeRegistry({ clock, stopped, isReserved: (node) => ledger.isReserved(node) })
  const startFailures = new StartFailures(runtime)
  const nodeOptions = { nodes, classes, hasS3: config.s3 !== null, startFailures }
  const fleetCapacity = new FleetCapacity({
    ...nodeOptions,
    isFixed: fleet.isFixed,
    waitMsMax: fleet.capacityMsMax,
    pricePerHourMax: quota.pricePerHour ?? Number.POSITIVE_INFINITY,
  })
  const nodeLifecycle = new NodeLifecycle({ ...nodeOptions, runtime, store, fleet, events, log, background })
  const metadata = new MetadataServers({ runtime, client: metadataClient, events, stopped })
  const placer = new Placer({ ledger, nodes, fleetCapacity, nodeLifecycle, startFailures })
  const keys = new Keys({ configured: apiKeys, store, runtime })
  const admission = new Admission({ ledger, nodes, fleetCapacity, placer, quota, keys })
  const tickets = new Tickets({ secret, clock, metadata, tlsName: config.tlsName })
  const gateways = new Gateways(clock)
  const s3Keys = new S3Keys({ secret, gateways })
  const shared = {
    runtime,
    clock,
    ledger,
    usage,
    nodes,
    fleetCapacity,
    nodeLifecycle,
    placer,
    admission,
    metadata,
    tickets,
    gateways,
    s3Keys,
    events,
    log,
    background,
    tasks,
    serial,
  }
  const size = (scope: string, hints: Hints) => {
    const learned = ledger.learned(scope)
    return rightsize(hints, {
      nodeClass: firstClass,
      classes,
      traits,
      served: fleetCapacity.served,
      learned,
    })
  }
  const allowedTiers = (hints: Hints) =>
    latencyClassOf(hints, { served: fleetCapacity.served, traits }).allowed
  const jobs = new JobLifecycle({ ...shared, size })
  const registrations = new Registrations({ ...shared, size, jobs, stopped })
  const reconciler = new Reconciler({ ...shared, jobs })
  const drains = new Drains({ ...shared, jobs, reconciler })
  const relocations = new Relocations({ ...shared, jobs, reconciler })
  const autoResize = new AutoResize({ ...shared, size, jobs, reconciler, allowedTiers, traits })
  const scaler = new Scaler({
    ...shared,
    classes,
    jobs,
    registrations,
    reconciler,
    drains,
    relocations,
    autoResize,
  })
  const rollout = new Rollout({ ...shared, drains, reconciler })
  const transfers = new JobTransfers({ ...shared, jobs })
  const metadataScaler = new MetadataScaler({ ...shared, fleet, transfers })
  const controlLoop = new ControlLoop({
    ...shared,
    size,
    jobs,
    registrations,
    reconciler,
    drains,
    scaler,
    rollout,
    metadataScaler,
    warmNodes,
    firstClass,
  })
  nodeLifecycle.watch({
    lost: (node) => {
      usage.forget(node.record.id)
      tasks.forget(node.record.id)
      reconciler.nodeLost(node)
      controlLoop.balance()
      registrations.retryWaiting()
    },
    stopped: (node) => {
      usage.forget(node.record.id)
      tasks.forget(node.record.id)
      reconciler.nodeStopped(node)
      registrations.retryWaiting()
    },
  })
  jobs.watch({
    freed: () => {
      controlLoop.balance()
      registrations.retryWaiting()
    },
    unsure: (job) => reconciler.reconcile(job),
  })
  let round: Pick<Timer, 'cancel'> | null = null
  const rooms = {
    ...shared,
    jobs,
    registrations,
    reconciler,
    drains,
    relocations,
    autoResize,
    transfers,
    keys,
    stopped,
  }
  return {
    ...rooms,
    reports: new Reports(rooms),

    /** Loads the store. Starts and ends nothing. */
    load: async (): Promise<void> => {
      const stored = await store.load()
      ledger.restore(stored)
      nodeLifecycle.restore(stored.nodes)
      keys.restore(stored.apiKeys)
    },

    /**
     * Compares the loaded state with the running nodes, resumes unfinished work, and starts the control loop. `running` are the nodes of
     * the fleet.
     */
    begin: async (running: Awaited<ReturnType<Fleet['list']>>): Promise<void> => {
      nodeLifecycle.reconcileWithFleet(running)
      await resumeJobs(ledger, { jobs, registrations })
      controlLoop.balance()
      round = background.every(HEARTBEAT_MS, ['controlLoop', 'round'], () => controlLoop.round())
    },

    /** Starts no more work. */
    stop: (): void => {
      stopping.abort()
      background.stop()
      round?.cancel()
      fleet.close()
    },
  }
}

/** Rolls back registrations that were cut off, as no caller was answered, and resumes ends of jobs. */
async function resumeJobs(
  ledger: Ledger,
  { jobs, registrations }: { jobs: JobLifecycle; registrations: Registrations },
): Promise<void> {
  for (const { id, state, endReason } of ledger.living()) {
    if (state === 'registering') await registrations.rollBack(id)
    else if (state === 'ending') jobs.endInBackground(id, endReason ?? 'failed')
  }
}
