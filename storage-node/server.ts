import { HEARTBEAT_MS } from '../protocol/limits.ts'
import { dataOperations } from '../protocol/operations/data-operations.ts'
import type {
  CapacityAnswer,
  CapacityRequest,
  NodeReport,
  NodeReportAnswer,
} from '../protocol/operations/reports.ts'
import type { Runtime } from '../protocol/runtime.ts'
import { CallerPool } from '../protocol/transport/caller-pool.ts'
import { CallCounts } from '../service/metrics/call-counts.ts'
import type { Network } from '../service/network/listener.ts'
import type { PersistedStore } from '../service/persisted/persisted-store.ts'
import type { Background } from '../service/process/background.ts'
import { clusterToken } from '../service/process/cluster-token.ts'
import type { Service } from '../service/process/lifecycle.ts'
import type { Logger } from '../service/process/log.ts'
import type { Tell } from '../service/reporting/controller-report.ts'
import { Connections } from '../service/server/connections.ts'
import { type RunIn, serveLink } from '../service/server/responder.ts'
import type { Tracing } from '../service/tracing/tracing.ts'
import type { NodeConfig } from './config.ts'
import { ChunkGc } from './gc/chunk-gc.ts'
import { sweepExpired, sweepLeases, sweepPersisted } from './gc/expiry-sweep.ts'
import { nodeHandlers } from './handlers.ts'
import { JobThrottle } from './job/throttle.ts'
import { RECLAIM_MS, TTL_SWEEP_MS } from './limits.ts'
import { Heartbeats } from './membership/heartbeats.ts'
import { type NodeOptions, StorageNode } from './node.ts'

/** What functions call. */
const clientOperations = new Set(Object.values(dataOperations).map(({ number }) => number))

/** A running node and its handle. */
export interface NodeService extends Service {
  readonly node: StorageNode
  readonly calls: CallCounts
  readonly connections: Connections
}

/** The dependencies of a storage node; the simulation supplies its own. */
export interface NodeWorld {
  readonly runtime: Runtime
  readonly network: Network
  /** CPU seconds that this process has used since its start. */
  readonly cpuSeconds: () => number
  readonly tellController: Tell<NodeReport, NodeReportAnswer>
  readonly askCapacity: Tell<CapacityRequest, CapacityAnswer>
  /** Called when the controller has emptied this node: its process must end. */
  readonly onEnd: () => void
  /** Called when metadata has declared this node dead: its process must end. */
  readonly onDead: (reason: Error) => void
  readonly log: Logger
  /** Null or missing: no spans are recorded. */
  readonly tracing?: Tracing | null
  /** Address of this process's `/metrics`, `host:port`; missing if it is not served. */
  readonly metricsAddress?: string
  /** Stopped with the node. */
  readonly background: Background
  readonly persisted: PersistedStore
  /** Closed when the node stops; null if it has none. */
  readonly ssd: NodeOptions['ssd']
  /** As `ssd`. */
  readonly s3: NodeOptions['s3']
}

/** Starts a storage node: it serves, reports and sweeps until it is stopped. */
export async function startNode(config: NodeConfig, world: NodeWorld): Promise<NodeService> {
  const { id, secret } = config
  const { network, tellController, log, background, tracing = null } = world
  const { clock } = world.runtime
  const pool = new CallerPool({
    dial: network.dial,
    runtime: world.runtime,
    token: () => clusterToken(secret, clock.wallMs()),
  })
  const { persisted, runtime, askCapacity } = world
  const { ramBytes } = config
  const { ssd, s3, metricsAddress } = world
  const metrics = metricsAddress === undefined ? {} : { metrics: metricsAddress }
  const warn = (message: string, context: { job: string; reason: string }): void => log.warn(context, message)
  const node = new StorageNode({
    id,
    ramBytes,
    ssd,
    s3,
    runtime,
    pool,
    persisted,
    askCapacity,
    background,
    warn,
  })
  const handlers = nodeHandlers(node, {
    ...{ clock, log },
    askLease: (metadata) => heartbeats.beatServer(metadata),
  })
  const connections = new Connections()
  const calls = new CallCounts(clock)
  const pace = new JobThrottle(node.jobs, { bytesPerSecond: config.bytesPerSecond, clock })
  const inSpan =
    tracing === null
      ? {}
      : { runIn: ((context, kind, handle) => tracing.run(kind, context, handle)) as RunIn }
  const listener = await network.listen(config.listen, (link) => {
    const { sessions, turns } = node
    const shared = { turns, connections, handlers, log, pace, sessions, calls, ...inSpan }
    serveLink(link, { server: id, secret, runtime, ...shared })
  })
  const heartbeats = new Heartbeats(node, {
    clock,
    background,
    pool,
    self: { class: config.class, address: listener.address, pid: process.pid, ...metrics },
    calls: () => calls.report(clientOperations),
    cpuSeconds: world.cpuSeconds,
    tellController,
    onDead: world.onDead,
    onEnd: world.onEnd,
  })
  const reclaim = new ChunkGc(node, { pool, clock, placements: node.placements, background })
  // Not awaited: a node without a lease answers so, and an unresponsive server must not delay the others.
  void background.once(['heartbeat', ''], () => heartbeats.begin())
  const timers = [
    background.every(HEARTBEAT_MS, ['report', ''], () => heartbeats.beatController()),
    // Not awaited: an unreachable server must not delay heartbeats to the others.
    background.every(HEARTBEAT_MS, ['heartbeat', ''], () => void heartbeats.beatMetadata()),
    background.every(RECLAIM_MS, ['reclaim', ''], () => reclaim.round()),
    background.every(TTL_SWEEP_MS, ['sweep', ''], () => sweepLeases(node, clock)),
    background.every(TTL_SWEEP_MS, ['sweep', 'uses'], () => node.usageReports.check(node.jobs.values())),
    background.every(TTL_SWEEP_MS, ['sweep', 'expired'], () => sweepExpired(node, clock, background)),
    background.every(TTL_SWEEP_MS, ['sweepPersisted', ''], () => sweepPersisted(node, background)),
  ]
  return {
    ...{ node, calls, connections },
    address: listener.address,
    ...(config.drainMs > 0 && {
      drain: (hurry) => heartbeats.drain(AbortSignal.any([hurry, AbortSignal.timeout(config.drainMs)])),
    }),
    stop: async () => {
      for (const timer of timers) timer.cancel()
      background.stop()
      node.puller.stop()
      pool.close()
      await listener.close()
      await Promise.all([ssd?.store.close(), s3?.close()])
    },
  }
}
