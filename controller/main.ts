import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { MayflyError } from '../protocol/errors.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { CallerPool } from '../protocol/transport/caller-pool.ts'
import { dialTcp } from '../protocol/transport/tcp.ts'
import { processRegistry } from '../service/metrics/process-metrics.ts'
import { clusterToken } from '../service/process/cluster-token.ts'
import { runService } from '../service/process/lifecycle.ts'
import { type ToController, tellSupervisor } from '../service/process/supervision.ts'
import { readConfig } from './config.ts'
import { WireMetadataClient } from './metadata/client.ts'
import { ProcessFleet } from './nodes/fleet/process-fleet.ts'
import { startController } from './server.ts'
import { SqliteStore } from './store/sqlite-store.ts'

await runService('controller', {
  readConfig: () => readConfig(),
  start: (config, { log, background, tracing }) => {
    if (!process.connected) {
      throw new MayflyError(
        'BAD_REQUEST',
        'The controller asks its supervisor for storage nodes; run `mayfly up`',
      )
    }
    const { clock } = systemRuntime
    const channel = {
      tell: tellSupervisor,
      listen: (handler: (message: ToController) => void) => void process.on('message', handler),
    }
    const token = (): Buffer => clusterToken(config.secret, clock.wallMs())
    const pool = new CallerPool({ dial: dialTcp, runtime: systemRuntime, token })
    mkdirSync(config.dir, { recursive: true, mode: 0o700 })
    return startController(config, {
      runtime: systemRuntime,
      registry: processRegistry('controller'),
      store: new SqliteStore(join(config.dir, 'controller.sqlite')),
      fleet: new ProcessFleet(channel, clock),
      metadataClient: new WireMetadataClient(pool, clock),
      log,
      background,
      tracing,
    })
  },
})
