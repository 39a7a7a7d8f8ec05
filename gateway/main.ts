import cluster from 'node:cluster'
import type { Registry } from 'prom-client'
import { errorOf } from '../protocol/errors.ts'
import { HEARTBEAT_MS, TICKET_SECONDS } from '../protocol/limits.ts'
import { claimsOfAccessKey, s3KeyOf } from '../protocol/model/s3-key.ts'
import { parseTicket } from '../protocol/model/ticket.ts'
import type { GatewayReport } from '../protocol/operations/reports.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { caIn } from '../protocol/transport/tls.ts'
import { withProbes } from '../service/metrics/probes.ts'
import { workerRegistry, workersMetrics } from '../service/metrics/workers-metrics.ts'
import { openCertificates } from '../service/network/certificates.ts'
import { runService, type Service } from '../service/process/lifecycle.ts'
import { startWorkers } from '../service/process/workers.ts'
import { type Post, postTo } from '../service/reporting/controller-report.ts'
import { secretOfTicket, secretsOfCluster } from './access/secrets.ts'
import type { SecretOf } from './access/signature.ts'
import { openAccessLog } from './access-log.ts'
import { readConfig, type Served } from './config.ts'
import type { Issue, Issued } from './jobs/open-jobs.ts'
import { endpointOf, startGateway } from './server.ts'

await runService('gateway', {
  readConfig: () => readConfig(),
  start: async (config, { log, background }) => {
    const { id, network, endpoint, serves, processes } = config
    const certificates = openCertificates(network.tls, { log, background })
    const { post, ...access } = accessOf(serves, caIn(network.caFile))
    const serve = (registry: Registry): Promise<Service> =>
      startGateway({
        ...{ listen: network.listen, endpoint, registry, log, certificates, processes },
        runtime: systemRuntime,
        ...access,
        accessLog: openAccessLog(config.accessLog),
      })
    if (cluster.isWorker) return await serve(workerRegistry('gateway'))
    // The process that was started reports the gateway and answers probes. It serves S3 itself, or has workers that do.
    const hasWorkers = processes > 1
    const probes = { plane: 'gateway', at: network.probes, certificates } as const
    return await withProbes(
      { ...probes, metrics: hasWorkers ? workersMetrics() : undefined },
      async ({ registry, address: metrics }) => {
        const running = hasWorkers
          ? await startWorkers({ count: processes, runtime: systemRuntime, log })
          : await serve(registry)
        if (post === null) return running
        const report: GatewayReport = {
          endpoint: endpoint ?? endpointOf(running.address, { isTls: certificates !== null }),
          metrics,
        }
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
  },
})

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
