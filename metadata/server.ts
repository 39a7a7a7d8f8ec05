import { HEARTBEAT_MS } from '../protocol/limits.ts'
import type { MetadataReport, MetadataReportAnswer } from '../protocol/operations/reports.ts'
import { type Runtime, within } from '../protocol/runtime.ts'
import { CallerPool } from '../protocol/transport/caller-pool.ts'
import type { Link } from '../protocol/transport/link.ts'
import type { CallContext } from '../protocol/wire/call-context.ts'
import { CallCounts } from '../service/metrics/call-counts.ts'
import type { Network } from '../service/network/listener.ts'
import type { Background } from '../service/process/background.ts'
import { clusterToken } from '../service/process/cluster-token.ts'
import { CpuMeter } from '../service/process/cpu-meter.ts'
import type { Service } from '../service/process/lifecycle.ts'
import type { Logger } from '../service/process/log.ts'
import type { Tell } from '../service/reporting/controller-report.ts'
import { Connections } from '../service/server/connections.ts'
import { type RunIn, serveLink } from '../service/server/responder.ts'
import { Turns } from '../service/server/turns.ts'
import { callContexts } from '../service/tracing/call-contexts.ts'
import type { Tracing } from '../service/tracing/tracing.ts'
import type { MetadataConfig } from './config.ts'
import { Messenger } from './drive/messenger.ts'
import { Votes } from './drive/votes.ts'
import { metadataHandlers } from './handlers.ts'
import { Placements } from './placements.ts'
import { type PlacementStore, soleTenure, type Tenure } from './store/placement-store.ts'

/** How long a start waits until the controller knows of it. After a take-over the machine of the controller may be lost, too. */
const FIRST_REPORT_MS = 250

/** The dependencies of a metadata server; the simulation passes its own. */
export interface MetadataDeps {
  readonly runtime: Runtime
  readonly network: Network
  readonly store: PlacementStore
  /** By default that of the only process, which has the SQLite file open. */
  readonly tenure?: Tenure
  /** Called with who knows a later process of this server. */
  readonly onSuperseded?: (knownBy: string) => void
  readonly tellController: Tell<MetadataReport, unknown>
  readonly log: Logger
  /** Stopped with the server. */
  readonly background: Background
  /** CPU seconds of this process so far. */
  readonly cpuSeconds: () => number
  /** Null or missing: no spans are recorded. */
  readonly tracing?: Tracing | null
  /** Address of this process's `/metrics`, `host:port`; missing if it is not served. */
  readonly metricsAddress?: string
}

/** A running metadata server and what it counts. */
export interface MetadataService extends Service {
  readonly calls: CallCounts
  readonly connections: Connections
}

/** Starts a metadata server. It serves and reports until it is stopped, which closes its store. */
export async function startMetadata(
  config: Omit<MetadataConfig, 'state'>,
  world: MetadataDeps,
): Promise<MetadataService> {
  const { id, secret } = config
  const { runtime, network, store, tellController, log, background, tracing = null } = world
  const { clock } = runtime
  const pool = new CallerPool({
    dial: network.dial,
    runtime,
    token: () => clusterToken(secret, clock.wallMs()),
  })
  const messenger = new Messenger({ pool, runtime, log })
  const generation = await store.nextGeneration()
  let accept = (link: Link): void => link.destroy()
  const listener = await network.listen(config.listen, (link) => accept(link))
  const { tenure = soleTenure } = world
  const placements = new Placements({
    store,
    messenger,
    runtime,
    background,
    address: listener.address,
    generation,
    tenure,
  })
  await placements.load()
  const votes = new Votes({
    ...{ server: id, generation, clock, messenger, tenure },
    nominate: () => placements.nominate(),
    onSuperseded: () => world.onSuperseded?.('storage nodes'),
  })
  void votes.round()
  const handlers = metadataHandlers(placements, log)
  const turns = new Turns(clock)
  const connections = new Connections()
  const calls = new CallCounts(clock)
  accept = (link) =>
    serveLink(link, { server: id, secret, runtime, turns, connections, handlers, log, calls, runIn })
  const runIn: RunIn = (context, kind, handle) => {
    const runAs = (context: CallContext) => callContexts.run(context, handle)
    return tracing === null ? runAs(context) : tracing.run(kind, context, runAs)
  }
  const cpu = new CpuMeter(clock, world.cpuSeconds)
  let silentDead: ReadonlySet<string> = new Set(placements.silentDead)
  const beat = async (): Promise<void> => {
    const report = {
      address: listener.address,
      ...(world.metricsAddress !== undefined && { metrics: world.metricsAddress }),
      generation,
      cpuCores: cpu.takeCores(),
      tasks: background.report(),
      dead: [...silentDead],
    }
    await background.attempt(['report', 'controller'], async () => {
      const answer = (await tellController(report)) as Partial<MetadataReportAnswer> | undefined
      if (answer?.superseded) world.onSuperseded?.('the controller')
      placements.confirmDead(answer?.gone ?? [])
    })
  }
  await within(clock, FIRST_REPORT_MS, beat())
  const declareSilentDead = async (): Promise<void> => {
    const dead = new Set(await placements.declareSilentDead())
    const nodes = [...dead].filter((node) => !silentDead.has(node))
    silentDead = dead
    if (nodes.length > 0) log.warn({ nodes }, 'nodes were silent for longer than their lease')
  }
  const timers = [
    background.every(HEARTBEAT_MS, ['report', ''], beat),
    background.every(HEARTBEAT_MS, ['declareDead', ''], declareSilentDead),
    background.every(HEARTBEAT_MS, ['vote', ''], () => votes.round()),
  ]
  return {
    ...{ calls, connections },
    address: listener.address,
    stop: async () => {
      for (const timer of timers) timer.cancel()
      background.stop()
      messenger.stop()
      pool.close()
      await listener.close()
      await store.close()
    },
  }
}
