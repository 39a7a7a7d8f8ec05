import { join } from 'node:path'
import { systemRuntime } from '../protocol/runtime.ts'
import { withMetrics } from '../service/metrics/wire-metrics.ts'
import { reportTo } from '../service/process/controller-report.ts'
import { cpuSecondsOfProcess } from '../service/process/cpu-meter.ts'
import { runService } from '../service/process/lifecycle.ts'
import { tcpNetwork } from '../service/server/listener.ts'
import { readConfig } from './config.ts'
import { startMetadata } from './server.ts'
import { SqlitePlacementStore } from './store/sqlite-placement-store.ts'

await runService('metadata', {
  readConfig: () => readConfig(),
  start: (config, { log, background, tracing }) => {
    const { id, secret, controllerUrl: url } = config
    const tellController = reportTo({
      url,
      path: `metadata/${id}/heartbeat`,
      secret,
      clock: systemRuntime.clock,
    })
    const store = new SqlitePlacementStore(join(config.dir, 'metadata.sqlite'))
    return withMetrics({ plane: 'metadata', host: config.listen.host }, (metricsAddress) =>
      startMetadata(config, {
        metricsAddress,
        runtime: systemRuntime,
        network: tcpNetwork,
        store,
        cpuSeconds: cpuSecondsOfProcess,
        tellController,
        log,
        background,
        tracing,
      }),
    )
  },
})
