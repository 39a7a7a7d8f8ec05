import { mkdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { asMayflyError } from '../protocol/errors.ts'
import { HEARTBEAT_MS, HTTP_STOP_MS_MAX } from '../protocol/limits.ts'
import { type Runtime, repeat } from '../protocol/runtime.ts'
import { formatAddress } from '../protocol/tcp.ts'
import type { Service } from '../service/lifecycle.ts'
import { bindError } from '../service/listener.ts'
import type { Logger } from '../service/log.ts'
import { Serial } from '../service/serial.ts'
import type { ControllerConfig } from './config.ts'
import { Drains } from './drains.ts'
import { EventStreams } from './event-streams.ts'
import { Events } from './events.ts'
import type { Fleet } from './fleet/fleet.ts'
import { buildHttpApi } from './http-api.ts'
import { Jobs } from './jobs.ts'
import { Ledger } from './ledger.ts'
import type { MetadataClient } from './metadata-client.ts'
import { MetadataServers } from './metadata-servers.ts'
import { clusterMetrics } from './metrics.ts'
import { limitOf } from './node-class.ts'
import { Nodes } from './nodes.ts'
import { Placer } from './placer.ts'
import { Repair } from './repair.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import { Tickets } from './tickets.ts'
import { Upkeep } from './upkeep.ts'
import { Views } from './views.ts'

/** What the controller reaches beyond itself; the tests have others. */
export interface Surroundings {
  readonly runtime: Runtime
  readonly fleet: Fleet
  readonly metadataClient: MetadataClient
  readonly log: Logger
}

/** Starts the controller: it takes over what its store has and serves until it is stopped. */
export async function startController(config: ControllerConfig, around: Surroundings): Promise<Service> {
  const { runtime, fleet, metadataClient, log } = around
  const { clock } = runtime
  const { classes, firstClass, warmNodes, secret, apiKey } = config
  const stopping = new AbortController()
  const stopped = stopping.signal
  mkdirSync(config.dir, { recursive: true, mode: 0o700 })
  const store = new SqliteStore(join(config.dir, 'controller.sqlite'))
  const events = new Events(clock)
  const serial = new Serial()
  const ledger = new Ledger(store, clock)
  const nodes: Nodes = new Nodes({
    runtime,
    store,
    fleet,
    classes,
    events,
    log,
    stopped,
    onLost: (node) => {
      repair.nodeLost(node)
      upkeep.balance()
    },
    onStopped: (node) => repair.nodeStopped(node),
    isReserved: (node) => ledger.reserved().has(node),
  })
  const metadata = new MetadataServers({ runtime, client: metadataClient, events, stopped })
  const limit = limitOf(classes)
  const placer = new Placer({ ledger, nodes, limit })
  const tickets = new Tickets({ secret, clock, metadata })
  const shared = { runtime, clock, ledger, nodes, placer, metadata, tickets, events, log, serial, firstClass }
  const jobs: Jobs = new Jobs({
    ...shared,
    sizing: { nodeClass: firstClass, limit },
    onFreed: () => upkeep.balance(),
    onUnsure: (job) => repair.want(job),
  })
  const repair = new Repair({ ...shared, jobs })
  const drains = new Drains({ ...shared, jobs, repair })
  const upkeep = new Upkeep({ ...shared, jobs, repair, drains, warmNodes })
  const views = new Views({ ...shared, classes, limit, warmNodes })
  const streams = new EventStreams(events, clock)
  const metrics = clusterMetrics(views, events)
  const server = await buildHttpApi({
    ...shared,
    jobs,
    repair,
    drains,
    views,
    streams,
    metrics,
    apiKey,
    secret,
    stopped,
  })

  const stored = await store.load()
  ledger.restore(stored.jobs, stored.keys)
  nodes.restore(stored.nodes)
  const running = await fleet.list()
  const { host, port } = config.listen
  await server.listen({ host, port }).catch(async (cause: NodeJS.ErrnoException) => {
    await store.close()
    throw bindError({ host, port }, cause)
  })
  // Nothing is started or ended before the port is ours.
  nodes.compare(running)
  await takeUp(ledger, jobs)
  upkeep.balance()
  const heartbeat = repeat(clock, HEARTBEAT_MS, () =>
    upkeep.round().catch((error: unknown) => {
      log.error({ err: error }, asMayflyError(error).message)
    }),
  )
  return {
    address: formatAddress(host, (server.server.address() as AddressInfo).port),
    stop: async () => {
      stopping.abort()
      heartbeat.cancel()
      streams.close()
      // Node counts a connection on which nothing was asked yet as busy; a client may hold one for minutes.
      const cut = clock.after(HTTP_STOP_MS_MAX, () => server.server.closeAllConnections())
      await server.close()
      cut.cancel()
      await store.close()
    },
  }
}

/** Registrations that were cut off are rolled back, as nobody was told of them; endings are carried on. */
async function takeUp(ledger: Ledger, jobs: Jobs): Promise<void> {
  for (const { id, state, endReason } of ledger.living()) {
    if (state === 'registering') await jobs.giveUp(id)
    else if (state === 'ending') jobs.endInBackground(id, endReason ?? 'failed')
  }
}
