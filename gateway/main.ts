import cluster from 'node:cluster'
import type { Registry } from 'prom-client'
import { errorOf } from '../client/controller-api.ts'
import { HEARTBEAT_MS, TICKET_SECONDS } from '../protocol/limits.ts'
import { claimsOfAccessKey, s3KeyOf } from '../protocol/model/s3-key.ts'
import { parseTicket } from '../protocol/model/ticket.ts'
import type { GatewayReport } from '../protocol/operations/reports.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { caIn } from '../protocol/transport/tls.ts'
import { withProbes } from '../service/metrics/probes.ts'
import { workerRegistry, workersMetrics } from '../service/metrics/workers-metrics.ts'
import { openCertificates } from '../service/network/certificates.ts'
import { type Around, runService, type Service } from '../service/process/lifecycle.ts'
import { startWorkers } from '../service/process/workers.ts'
import { type Post, postTo } from '../service/reporting/controller-report.ts'
import { secretOfTicket, secretsOfCluster } from './access/secrets.ts'
import type { SecretOf } from './access/signature.ts'
import { openAccessLog } from './access-log.ts'
import { readConfig, type Served } from './config.ts'
import type { Issue, Issued } from './jobs/open-jobs.ts'
import { endpointOf, startGateway } from './server.ts'

type Config = ReturnType<typeof readConfig>

await runService('gateway', {
  readConfig: () => readConfig(),
  start: async (config, around) => {
    if (!cluster.isWorker) return await lead(config, around)
    const registry = workerRegistry('gateway')
    return await serve(config, around, registry)
  },
})

/** Reports the gateway to the controller and answers probes, and serves S3: in this process, or in several that share the port. */
async function lead(config: Config, around: Around): Promise<Service> {
  const { id, network, serves, processes } = config
  const { log, background } = around
  const certificates = openCertificates(network.tls, { log, background })
  const metrics = processes > 1 ? workersMetrics() : undefined
  return await withProbes(
    { plane: 'gateway', at: network.probes, certificates, metrics },
    async ({ registry, address: probes }) => {
      const running =
        processes > 1
          ? await startWorkers({ count: processes, runtime: systemRuntime, log })
          : await serve(config, around, registry)
      const { post } = accessOf(serves, caIn(network.caFile))
      if (post === null) return running
      const endpoint = config.endpoint ?? endpointOf(running.address, { isTls: certificates !== null })
      const report: GatewayReport = { endpoint, metrics: probes }
      const tell = () => post(`gateways/${encodeURIComponent(id)}/heartbeat`, report)
      // The supervisor tells users the endpoint once the controller knows it.
      await background.attempt(['report', ''], tell)
      const reports = background.every(HEARTBEAT_MS, ['report', ''], tell)
      return {
        address: running.address,
        stop: async () => {
          reports.cancel()
          await running.stop()
        },
      }
    },
  )
}

async function serve(config: Config, { log, background }: Around, registry: Registry): Promise<Service> {
  const { network, endpoint, serves, accessLog, processes } = config
  const { secretOf, issue } = accessOf(serves, caIn(network.caFile))
  return await startGateway({
    ...{ listen: network.listen, endpoint, registry, log, secretOf, issue, processes },
    certificates: openCertificates(network.tls, { log, background }),
    runtime: systemRuntime,
    accessLog: openAccessLog(accessLog),
  })
}

/** Secrets and tickets of the jobs that are served, and how the controller is called: a gateway for one ticket calls none. */
function accessOf(
  serves: Served,
  ca: () => string | null,
): { secretOf: SecretOf; issue: Issue; post: Post | null } {
  if (serves.of === 'ticket')
    return { secretOf: secretOfTicket(serves.ticket), issue: issueOf(serves.ticket), post: null }
  const { controllerUrl: url, secret } = serves
  const post = postTo({ url, secret, clock: systemRuntime.clock, ca, errorOf })
  const issue: Issue = async ({ job, ...rights }) =>
    (await post(`jobs/${encodeURIComponent(job)}/tickets`, rights)) as Issued
  return { secretOf: secretsOfCluster(secret), issue, post }
}

function issueOf(ticket: string): Issue {
  // A ticket does not say when its job was registered; it was issued so long before its end, or later.
  const { accessKeyId } = s3KeyOf(parseTicket(ticket).token)
  const expiresSeconds = claimsOfAccessKey(accessKeyId)?.claims.expiresSeconds ?? 0
  const createdAt = new Date((expiresSeconds - TICKET_SECONDS) * 1000).toISOString()
  return async () => ({ ticket, createdAt })
}
