import Type from 'typebox'
import type { NodeReport } from '../../../protocol/operations/reports.ts'
import { REPORT_BYTES_MAX } from '../../limits.ts'
import {
  capacityRequest,
  gatewayReport,
  gatewayRights,
  metadataReport,
  nodeReport,
} from '../report-schemas.ts'
import type { Reports } from '../reports.ts'
import type { Api, Routes } from './api.ts'
import { requireActive } from './reached-job.ts'

const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) })
const bodyLimit = REPORT_BYTES_MAX

/** Routes for the cluster's own processes: heartbeats, and tickets for gateways. They are not part of the public API. */
interface InternalRoutes extends Pick<Routes, 'jobs' | 'tickets' | 'gateways'> {
  readonly reports: Reports
}

export function internalRoutes(app: Api, { reports, jobs, tickets, gateways }: InternalRoutes): void {
  app.post(
    '/internal/v1/nodes/:id/heartbeat',
    { bodyLimit, schema: { hide: true, params, body: nodeReport } },
    (request) => reports.node(request.params.id, request.body as NodeReport),
  )

  app.post(
    '/internal/v1/nodes/:id/capacity',
    { bodyLimit, schema: { hide: true, params, body: capacityRequest } },
    (request) => reports.capacity(request.params.id, request.body),
  )

  app.post(
    '/internal/v1/metadata/:id/heartbeat',
    { bodyLimit, schema: { hide: true, params, body: metadataReport } },
    (request) => reports.metadata(request.params.id, request.body),
  )

  app.post(
    '/internal/v1/gateways/:id/heartbeat',
    { bodyLimit, schema: { hide: true, params, body: gatewayReport } },
    (request) => {
      gateways.onReport(request.params.id, request.body)
      return {}
    },
  )

  app.post(
    '/internal/v1/jobs/:id/tickets',
    { bodyLimit, schema: { hide: true, params, body: gatewayRights } },
    async ({ params: { id }, body }) => {
      const { expiresInSeconds: seconds, ...rights } = body
      const job = requireActive(jobs.requireLiving(id))
      const { ticket } = await tickets.issue(job, { ...rights, seconds })
      return { ticket, createdAt: new Date(job.createdAtMs).toISOString() }
    },
  )
}
