import { Registry } from 'prom-client'
import { systemRuntime } from '../protocol/runtime.ts'
import { CallerPool } from '../protocol/transport/caller-pool.ts'
import { withProbes } from '../service/metrics/probes.ts'
import { openCertificates } from '../service/network/certificates.ts'
import { networkOf } from '../service/network/listener.ts'
import { clusterToken } from '../service/process/cluster-token.ts'
import { runService } from '../service/process/lifecycle.ts'
import { type ToController, tellSupervisor } from '../service/process/supervision.ts'
import { readConfig } from './config.ts'
import { WireMetadataClient } from './metadata/client.ts'
import { openFleet } from './nodes/fleet/open-fleet.ts'
import { startController } from './server.ts'
import { openStore } from './store/open-store.ts'

await runService('controller', {
  readConfig: () => readConfig(),
  start: (config, { log, background, tracing }) => {
    const { clock } = systemRuntime
    const certificates = openCertificates(config.network.tls, { log, background })
    const channel = {
      tell: tellSupervisor,
      listen: (handler: (message: ToController) => void) => void process.on('message', handler),
    }
    const token = (): Buffer => clusterToken(config.secret, clock.wallMs())
    const pool = new CallerPool({ dial: networkOf(certificates).dial, runtime: systemRuntime, token })
    const onLost = (reason: string): never => {
      log.fatal({ reason }, 'this process has lost the lead')
      process.exit(1)
    }
    // `/metrics` of the API needs a key and names jobs, in addition to the process metrics, which the probes show without a key.
    const probes = { plane: 'controller', at: config.network.probes, certificates } as const
    return withProbes(probes, async ({ registry, onStandby }) => {
      const supervisor = process.connected ? channel : null
      // Before the store: a standby is then ready to lead.
      const fleet = await openFleet(config, { supervisor, runtime: systemRuntime, background })
      return startController(config, {
        runtime: systemRuntime,
        registry: Registry.merge([registry]),
        store: await openStore(config.state, { runtime: systemRuntime, log, onLost, onStandby }),
        fleet,
        metadataClient: new WireMetadataClient(pool, clock),
        log,
        background,
        tracing,
        certificates,
      })
    })
  },
})
