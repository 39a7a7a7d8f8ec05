import { TICKET_SECONDS } from '../protocol/limits.ts'
import { claimsOfAccessKey, s3KeyOf } from '../protocol/model/s3-key.ts'
import { parseTicket } from '../protocol/model/ticket.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { serveMetrics } from '../service/metrics/metrics-server.ts'
import { processRegistry } from '../service/metrics/process-metrics.ts'
import { runService } from '../service/process/lifecycle.ts'
import { secretOfTicket, secretsOfCluster } from './access/secrets.ts'
import { openAccessLog } from './access-log.ts'
import { readConfig, type Served } from './config.ts'
import { reportGateway, ticketsOf } from './controller-link.ts'
import type { Issue } from './jobs/open-jobs.ts'
import { startGateway } from './server.ts'

await runService('gateway', {
  readConfig: () => readConfig(),
  start: async (config, { log }) => {
    const { id, listen, endpoint, serves, accessLog } = config
    const { clock } = systemRuntime
    const registry = processRegistry('gateway')
    const metrics = await serveMetrics(registry, listen.host)
    const gateway = await startGateway({
      ...{ listen, endpoint, registry, log },
      runtime: systemRuntime,
      secretOf: serves.of === 'cluster' ? secretsOfCluster(serves.secret) : secretOfTicket(serves.ticket),
      issue: issuerOf(serves),
      accessLog: openAccessLog(accessLog),
    })
    const report = { endpoint: gateway.endpoint, metrics: metrics.address }
    const unreport =
      serves.of === 'cluster'
        ? await reportGateway(
            { url: serves.controllerUrl, secret: serves.secret, clock },
            { id, report, log },
          )
        : () => undefined
    return {
      address: gateway.address,
      stop: async () => {
        unreport()
        await gateway.stop()
        await metrics.close()
      },
    }
  },
})

function issuerOf(serves: Served): Issue {
  if (serves.of === 'cluster')
    return ticketsOf({ url: serves.controllerUrl, secret: serves.secret, clock: systemRuntime.clock })
  const { ticket } = serves
  // A ticket does not say when its job was registered; it was issued so long before its end, or later.
  const { accessKeyId } = s3KeyOf(parseTicket(ticket).token)
  const expiresSeconds = claimsOfAccessKey(accessKeyId)?.claims.expiresSeconds ?? 0
  const createdAt = new Date((expiresSeconds - TICKET_SECONDS) * 1000).toISOString()
  return async () => ({ ticket, createdAt })
}
