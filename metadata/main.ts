import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemRuntime } from '../protocol/runtime.ts'
import { addCallMetrics } from '../service/metrics/call-metrics.ts'
import { withProbes } from '../service/metrics/probes.ts'
import { noCa, openCertificates } from '../service/network/certificates.ts'
import { networkOf } from '../service/network/listener.ts'
import { reportTo } from '../service/process/controller-report.ts'
import { cpuSecondsOfProcess } from '../service/process/cpu-meter.ts'
import { runService } from '../service/process/lifecycle.ts'
import { readConfig } from './config.ts'
import { startMetadata } from './server.ts'
import { SqlitePlacementStore } from './store/sqlite-placement-store.ts'

await runService('metadata', {
  readConfig: () => readConfig(),
  start: (config, { log, background, tracing }) => {
    const { id, secret, controllerUrl: url } = config
    const certificates = openCertificates(config.network.tls, { log, background })
    const tellController = reportTo({
      url,
      path: `metadata/${id}/heartbeat`,
      secret,
      clock: systemRuntime.clock,
      ca: certificates?.trust.ca ?? noCa,
    })
    mkdirSync(config.dir, { recursive: true, mode: 0o700 })
    const store = new SqlitePlacementStore(join(config.dir, 'metadata.sqlite'))
    return withProbes(
      { plane: 'metadata', at: config.network.probes, certificates },
      async ({ registry, address }) => {
        const running = await startMetadata(config, {
          metricsAddress: address,
          runtime: systemRuntime,
          network: networkOf(certificates),
          store,
          cpuSeconds: cpuSecondsOfProcess,
          tellController,
          log,
          background,
          tracing,
        })
        addCallMetrics(registry, running)
        return running
      },
    )
  },
})
