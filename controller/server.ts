import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { BACKLOG_MAX } from '../protocol/limits.ts'
import { within } from '../protocol/runtime.ts'
import type { Certificates } from '../service/network/certificates.ts'
import { bindError } from '../service/network/listener.ts'
import { advertisedAddress } from '../service/network/listening.ts'
import { openPersisted } from '../service/persisted/open-persisted.ts'
import type { Service } from '../service/process/lifecycle.ts'
import type { Tracing } from '../service/tracing/tracing.ts'
import { PageFeed } from './api/console/feed.ts'
import { readPageFiles } from './api/console/page-files.ts'
import { Sessions } from './api/console/sessions.ts'
import { Snapshots } from './api/console/snapshots.ts'
import { EventStreams } from './api/event-streams.ts'
import { buildHttpApi } from './api/http-api.ts'
import { addClusterMetrics } from './api/metrics/cluster-metrics.ts'
import { Views } from './api/views.ts'
import type { ControllerConfig } from './config.ts'
import { type ControllerDeps, createController } from './controller.ts'
import { HTTP_STOP_MS_MAX, STOP_DECIDING_MS_MAX } from './limits.ts'
import { sweepPersisted } from './persisted-sweep.ts'

export interface ServerDeps extends ControllerDeps {
  /** What `GET /metrics` answers. */
  readonly registry: Registry
  /** Null or missing: no spans are recorded. */
  readonly tracing?: Tracing | null
  /** Null without TLS. */
  readonly certificates: Certificates | null
}

/** Starts the controller: loads its store and serves until it is stopped. */
export async function startController(
  config: Omit<ControllerConfig, 'state'>,
  deps: ServerDeps,
): Promise<Service> {
  const { runtime, store, fleet, log, background } = deps
  const { clock } = runtime
  const { classes, warmNodes, secret, quota } = config
  const controller = createController(config, deps)
  const { events, tasks, ledger } = controller
  const views = new Views({ ...controller, classes, warmNodes, quota })
  const streams = new EventStreams(events, clock)
  const metrics = deps.registry
  addClusterMetrics(metrics, { views, events, tasks })
  const { pageDir } = config
  const sessions = new Sessions(controller.keys, runtime)
  const snapshots = new Snapshots({ ...controller, views, classes })
  const feed = new PageFeed({ clock, events, snapshots })
  const page = { sessions, feed, pageFiles: readPageFiles(pageDir) }
  const persisted = await openPersisted({ dir: config.persistedDir, s3: config.s3 }, clock)
  const server = await buildHttpApi({
    ...controller,
    views,
    streams,
    metrics,
    ...page,
    persisted: persisted.store,
    secret,
    tracing: deps.tracing ?? null,
    certificates: deps.certificates,
  })
  await controller.load()
  const running = await fleet.list()
  const { host, port } = config.listen
  await server.listen({ host, port, backlog: BACKLOG_MAX }).catch(async (cause: NodeJS.ErrnoException) => {
    await store.close()
    throw bindError({ host, port }, cause)
  })
  // No process is started or ended before the port is bound.
  await controller.begin(running)
  const sweeping = sweepPersisted(persisted.store, { background, log, ledger })
  return {
    address: advertisedAddress(config.listen, (server.server.address() as AddressInfo).port),
    stop: async () => {
      controller.stop()
      sweeping.cancel()
      streams.close()
      feed.close()
      // Node does not close connections without a request, and a client may hold one for minutes.
      const cut = clock.after(HTTP_STOP_MS_MAX, () => server.server.closeAllConnections())
      const closed = server.close()
      // A standby leads once the store is closed; requests that are refused then are repeated there.
      await within(clock, STOP_DECIDING_MS_MAX, closed)
      await store.close()
      await closed
      cut.cancel()
      persisted.close()
    },
  }
}
