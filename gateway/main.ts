import { TICKET_SECONDS } from '../protocol/limits.ts'
import { claimsOfAccessKey, s3KeyOf } from '../protocol/model/s3-key.ts'
import { parseTicket } from '../protocol/model/ticket.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { caIn } from '../protocol/transport/tls.ts'
import { withProbes } from '../service/metrics/probes.ts'
import { openCertificates } from '../service/network/certificates.ts'
import { runService } from '../service/process/lifecycle.ts'
import { secretOfTicket, secretsOfCluster } from './access/secrets.ts'
import { openAccessLog } from './access-log.ts'
import { readConfig, type Served } from './config.ts'
import { reportGateway, ticketsOf } from './controller-link.ts'
import type { Issue } from './jobs/open-jobs.ts'
import { startGateway } from './server.ts'

await runService('gateway', {
  readConfig: () => readConfig(),
  start: async (config, { log, background }) => {
    const { id, network, endpoint, serves, accessLog } = config
    const { clock } = systemRuntime
    const certificates = openCertificates(network.tls, { log, background })
    const ca = caIn(network.caFile)
    return await withProbes(
      { plane: 'gateway', at: network.probes, certificates },
      async ({ registry, address: metrics }) => {
        const gateway = await startGateway({
          ...{ listen: network.listen, endpoint, registry, log, certificates },
          runtime: systemRuntime,
          secretOf: serves.of === 'cluster' ? secretsOfCluster(serves.secret) : secretOfTicket(serves.ticket),
          issue: issuerOf(serves, ca),
          accessLog: openAccessLog(accessLog),
        })
        const report = { endpoint: gateway.endpoint, metrics }
        const unreport =
          serves.of === 'cluster'
            ? await reportGateway(
                { url: serves.controllerUrl, secret: serves.secret, clock, ca },
                { id, report, log },
              )
            : () => undefined
        return {
          address: gateway.address,
          stop: async () => {
            unreport()
            await gateway.stop()
          },
        }
      },
    )
  },
})

function issuerOf(serves: Served, ca: () => string | null): Issue {
  if (serves.of === 'cluster')
    return ticketsOf({ url: serves.controllerUrl, secret: serves.secret, clock: systemRuntime.clock, ca })
  const { ticket } = serves
  // A ticket does not say when its job was registered; it was issued so long before its end, or later.
  const { accessKeyId } = s3KeyOf(parseTicket(ticket).token)
  const expiresSeconds = claimsOfAccessKey(accessKeyId)?.claims.expiresSeconds ?? 0
  const createdAt = new Date((expiresSeconds - TICKET_SECONDS) * 1000).toISOString()
  return async () => ({ ticket, createdAt })
}
