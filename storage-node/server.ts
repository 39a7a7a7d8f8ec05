import { CallerPool } from '../protocol/caller-pool.ts'
import { HEARTBEAT_MS, RECLAIM_MS, TTL_SWEEP_MS } from '../protocol/limits.ts'
import { type Runtime, repeat } from '../protocol/runtime.ts'
import { dialTcp } from '../protocol/tcp.ts'
import { clusterToken } from '../service/cluster-token.ts'
import { reportTo } from '../service/controller-report.ts'
import type { Service } from '../service/lifecycle.ts'
import { listen } from '../service/listener.ts'
import type { Logger } from '../service/log.ts'
import { serveLink } from '../service/responder.ts'
import type { NodeConfig } from './config.ts'
import { nodeHandlers } from './handlers.ts'
import { Heartbeats } from './heartbeats.ts'
import { StorageNode } from './node.ts'
import { Reclaim } from './reclaim.ts'
import { sweep } from './sweep.ts'

/** A running node, and what it holds. */
export interface NodeService extends Service {
  readonly node: StorageNode
}

/** Starts a storage node: it serves, reports and cleans up until it is stopped. */
export async function startNode(config: NodeConfig, { clock }: Runtime, log: Logger): Promise<NodeService> {
  const { id, secret } = config
  const node = new StorageNode({ id, ramBytes: config.ramBytes, clock })
  const handlers = nodeHandlers(node, clock)
  const listener = await listen(config.listen, (link) => {
    serveLink(link, { server: id, secret, clock, handlers, log })
  })
  const pool = new CallerPool({ dial: dialTcp, clock, token: () => clusterToken(secret, clock.wallMs()) })
  const heartbeats = new Heartbeats(node, {
    clock,
    log,
    pool,
    self: { class: config.class, address: listener.address, pid: process.pid },
    tellController: reportTo({ url: config.controllerUrl, path: `nodes/${id}`, secret, clock }),
  })
  const reclaim = new Reclaim(node, { pool, clock })
  await heartbeats.beat()
  const timers = [
    repeat(clock, HEARTBEAT_MS, () => heartbeats.beat()),
    repeat(clock, RECLAIM_MS, () => reclaim.round()),
    repeat(clock, TTL_SWEEP_MS, () => sweep(node, clock)),
  ]
  return {
    node,
    address: listener.address,
    stop: async () => {
      for (const timer of timers) timer.cancel()
      pool.close()
      await listener.close()
    },
  }
}
