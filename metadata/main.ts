import { systemRuntime } from '../protocol/runtime.ts'
import { caIn } from '../protocol/transport/tls.ts'
import { addCallMetrics } from '../service/metrics/call-metrics.ts'
import { withProbes } from '../service/metrics/probes.ts'
import { openCertificates } from '../service/network/certificates.ts'
import { networkOf } from '../service/network/listener.ts'
import { cpuSecondsOfProcess } from '../service/process/cpu-meter.ts'
import { runService } from '../service/process/lifecycle.ts'
import { postTo, reportTo } from '../service/reporting/controller-report.ts'
import { readConfig } from './config.ts'
import { startMetadata } from './server.ts'
import { openPlacementStore } from './store/open-placement-store.ts'

await runService('metadata', {
  readConfig: () => readConfig(),
  start: (config, { log, background, tracing }) => {
    const { id, secret, controllerUrl: url } = config
    const certificates = openCertificates(config.network.tls, { log, background })
    const post = postTo({ url, secret, clock: systemRuntime.clock, ca: caIn(config.network.caFile) })
    const tellController = reportTo(post, `metadata/${id}/heartbeat`)
    const onLost = (reason: string): never => {
      log.fatal({ reason }, 'this process has lost the lead')
      process.exit(1)
    }
    return withProbes(
      { plane: 'metadata', at: config.network.probes, certificates },
      async ({ registry, address, onStandby }) => {
        const around = { runtime: systemRuntime, log, onLost, onStandby }
        const { store, tenure, giveUp } = await openPlacementStore(config, around)
        const running = await startMetadata(config, {
          metricsAddress: address,
          runtime: systemRuntime,
          network: networkOf(certificates),
          store,
          tenure,
          onSuperseded: (knownBy) => giveUp(`a later process of the server is known to ${knownBy}`),
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
