import type {
  CapacityAnswer,
  CapacityRequest,
  NodeReport,
  NodeReportAnswer,
} from '../protocol/operations/reports.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { caIn } from '../protocol/transport/tls.ts'
import { addCallMetrics } from '../service/metrics/call-metrics.ts'
import { withProbes } from '../service/metrics/probes.ts'
import { openCertificates } from '../service/network/certificates.ts'
import { networkOf } from '../service/network/listener.ts'
import { openPersisted } from '../service/persisted/open-persisted.ts'
import { cpuSecondsOfProcess } from '../service/process/cpu-meter.ts'
import { runService } from '../service/process/lifecycle.ts'
import { postTo, reportTo } from '../service/reporting/controller-report.ts'
import { readConfig } from './config.ts'
import { addNodeMetrics } from './metrics.ts'
import { startNode } from './server.ts'
import { openS3 } from './tiers/s3/open-s3.ts'
import { openSsd } from './tiers/ssd/open-ssd.ts'

await runService('storage-node', {
  readConfig: () => readConfig(),
  start: async (config, { log, background, tracing }) => {
    const { id, secret, controllerUrl: url } = config
    const certificates = openCertificates(config.network.tls, { log, background })
    const post = postTo({ url, secret, clock: systemRuntime.clock, ca: caIn(config.network.caFile) })
    const tellController = reportTo<NodeReport, NodeReportAnswer>(post, `nodes/${id}/heartbeat`)
    const askCapacity = reportTo<CapacityRequest, CapacityAnswer>(post, `nodes/${id}/capacity`)
    const onDead = (reason: Error): never => {
      log.fatal({ reason: reason.message }, 'metadata has declared this node dead')
      process.exit(1)
    }
    const { store: persisted } = await openPersisted(
      { dir: config.persistedDir, s3: config.s3 },
      systemRuntime.clock,
    )
    const ssd = config.ssd === null ? null : await openSsd(config.ssd, { ...systemRuntime, background })
    const s3 = await openS3(config, { ...systemRuntime, background })
    return await withProbes(
      { plane: 'storage-node', at: config.network.probes, certificates },
      async ({ registry, address }) => {
        const running = await startNode(config, {
          metricsAddress: address,
          runtime: systemRuntime,
          network: networkOf(certificates),
          cpuSeconds: cpuSecondsOfProcess,
          tellController,
          askCapacity,
          onDead,
          // As if it were told by a signal.
          onEnd: () => process.kill(process.pid, 'SIGTERM'),
          log,
          background,
          tracing,
          persisted,
          ssd,
          s3,
        })
        addCallMetrics(registry, running)
        addNodeMetrics(registry, running.node)
        return running
      },
    )
  },
})
