import { join } from 'node:path'
import { CallerPool } from '../protocol/caller-pool.ts'
import { asMayflyError } from '../protocol/errors.ts'
import { HEARTBEAT_MS } from '../protocol/limits.ts'
import type { Link } from '../protocol/link.ts'
import type { MetadataReport } from '../protocol/reports.ts'
import { type Runtime, repeat } from '../protocol/runtime.ts'
import { dialTcp } from '../protocol/tcp.ts'
import { clusterToken } from '../service/cluster-token.ts'
import { reportTo } from '../service/controller-report.ts'
import type { Service } from '../service/lifecycle.ts'
import { listen } from '../service/listener.ts'
import type { Logger } from '../service/log.ts'
import { serveLink } from '../service/responder.ts'
import type { MetadataConfig } from './config.ts'
import { metadataHandlers } from './handlers.ts'
import { Messenger } from './messenger.ts'
import { Placements } from './placements.ts'
import { SqlitePlacementStore } from './store/sqlite-placement-store.ts'

/** Starts a metadata server: it serves and reports until it is stopped. */
export async function startMetadata(config: MetadataConfig, runtime: Runtime, log: Logger): Promise<Service> {
  const { id, secret, controllerUrl: url } = config
  const { clock } = runtime
  const store = new SqlitePlacementStore(join(config.dir, 'metadata.sqlite'))
  const pool = new CallerPool({ dial: dialTcp, clock, token: () => clusterToken(secret, clock.wallMs()) })
  const messenger = new Messenger({ pool, runtime, log })
  const generation = await store.nextGeneration()
  let accept = (link: Link): void => link.destroy()
  const listener = await listen(config.listen, (link) => accept(link))
  const placements = new Placements({ store, messenger, runtime, address: listener.address, generation })
  await placements.load()
  const handlers = metadataHandlers(placements)
  accept = (link) => serveLink(link, { server: id, secret, clock, handlers, log })
  const report = reportTo<MetadataReport, unknown>({ url, path: `metadata/${id}`, secret, clock })
  const beat = async (): Promise<void> => {
    await report({ address: listener.address }).catch((error: unknown) => {
      log.debug({ reason: asMayflyError(error).reason }, 'the controller does not answer')
    })
  }
  await beat()
  const heartbeat = repeat(clock, HEARTBEAT_MS, beat)
  return {
    address: listener.address,
    stop: async () => {
      heartbeat.cancel()
      pool.close()
      await listener.close()
      await store.close()
    },
  }
}
