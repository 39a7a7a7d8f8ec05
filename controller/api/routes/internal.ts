import Type from 'typebox'
import type { NodeReport } from '../../../protocol/operations/reports.ts'
import { REPORT_BYTES_MAX } from '../../limits.ts'
import { capacityRequest, metadataReport, nodeReport } from '../report-schemas.ts'
import type { Reports } from '../reports.ts'
import type { Api } from './api.ts'

const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) })
const bodyLimit = REPORT_BYTES_MAX

/** Heartbeats of the cluster's own processes. They are not part of the public API. */
export function internalRoutes(app: Api, { reports }: { readonly reports: Reports }): void {
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
    (request) => {
      reports.metadata(request.params.id, request.body)
      return {}
    },
  )
}
