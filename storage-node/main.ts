import type {
  CapacityAnswer,
  CapacityRequest,
  NodeReport,
  NodeReportAnswer,
} from '../protocol/operations/reports.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { withMetrics } from '../service/metrics/wire-metrics.ts'
import { openPersisted } from '../service/persisted/open-persisted.ts'
import { reportTo } from '../service/process/controller-report.ts'
import { cpuSecondsOfProcess } from '../service/process/cpu-meter.ts'
import { runService } from '../service/process/lifecycle.ts'
import { tcpNetwork } from '../service/server/listener.ts'
import { readConfig } from './config.ts'
import { addNodeMetrics } from './metrics.ts'
import { startNode } from './server.ts'
import { openS3 } from './tiers/s3/open-s3.ts'
import { openSsd } from './tiers/ssd/open-ssd.ts'

await runService('storage-node', {
  readConfig: () => readConfig(),
  start: async (config, { log, background, tracing }) => {
    const { id, secret, controllerUrl: url } = config
    const to = { url, secret, clock: systemRuntime.clock }
    const tellController = reportTo<NodeReport, NodeReportAnswer>({ ...to, path: `nodes/${id}/heartbeat` })
    const askCapacity = reportTo<CapacityRequest, CapacityAnswer>({ ...to, path: `nodes/${id}/capacity` })
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
    const world = (metricsAddress: string) => ({
      metricsAddress,
      runtime: systemRuntime,
      network: tcpNetwork,
      cpuSeconds: cpuSecondsOfProcess,
      tellController,
      askCapacity,
      onDead,
      log,
      background,
      tracing,
      persisted,
      ssd,
      s3,
    })
    return await withMetrics(
      { plane: 'storage-node', host: config.listen.host },
      (metricsAddress) => startNode(config, world(metricsAddress)),
      (registry, { node }) => addNodeMetrics(registry, node),
    )
  },
})
