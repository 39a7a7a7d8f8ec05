import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { CallerPool } from '../protocol/caller-pool.ts'
import { MayflyError } from '../protocol/errors.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { dialTcp } from '../protocol/tcp.ts'
import { clusterToken } from '../service/cluster-token.ts'
import { runService } from '../service/lifecycle.ts'
import { type ToController, tellSupervisor } from '../service/supervision.ts'
import { readConfig } from './config.ts'
import { ProcessFleet } from './fleet/process-fleet.ts'
import { WireMetadataClient } from './metadata-client.ts'
import { startController } from './server.ts'
import { SqliteStore } from './store/sqlite-store.ts'

await runService('controller', {
  readConfig: () => readConfig(),
  start: (config, { log, background }) => {
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
      store: new SqliteStore(join(config.dir, 'controller.sqlite')),
      fleet: new ProcessFleet(channel, clock),
      metadataClient: new WireMetadataClient(pool, clock),
      log,
      background,
    })
  },
})
