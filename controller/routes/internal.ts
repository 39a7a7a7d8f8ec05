import Type from 'typebox'
import { asMayflyError } from '../../protocol/errors.ts'
import { REPORT_BYTES_MAX } from '../../protocol/limits.ts'
import type { CapacityAnswer, NodeReport, NodeReportAnswer } from '../../protocol/reports.ts'
import type { Clock } from '../../protocol/runtime.ts'
import type { Logger } from '../../service/log.ts'
import { capacityRequest, metadataReport, nodeReport } from '../schemas.ts'
import { peakOf } from '../usage.ts'
import type { Api, Routes } from './api.ts'

const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) })
const bodyLimit = REPORT_BYTES_MAX

/** Heartbeats of the cluster's own processes; no part of the public API. */
export function internalRoutes(
  app: Api,
  { nodes, ledger, usage, metadata, repair, drains, relocations, growth, clock, log }: Routes & Heard,
): void {
  app.post(
    '/internal/v1/nodes/:id/heartbeat',
    { bodyLimit, schema: { hide: true, params, body: nodeReport } },
    async (request): Promise<NodeReportAnswer> => {
      const report = request.body as NodeReport
      await nodes.heard(request.params.id, report)
      const nowMs = clock.monotonicMs()
      // What comes late of a job that has ended counts no more.
      const living = report.jobs.filter(({ id }) => (ledger.get(id)?.state ?? 'ended') !== 'ended')
      usage.heard(request.params.id, living)
      for (const { id, idleMs } of living) {
        ledger.touch(id, nowMs - idleMs)
        ledger.observe(id, { peak: peakOf(usage.of(id)), reads: usage.readsOf(id) })
      }
      drains.heard(request.params.id, report)
      relocations.heard(request.params.id, report)
      return { metadata: metadata.all().map(({ address }) => address) }
    },
  )

  app.post(
    '/internal/v1/nodes/:id/capacity',
    { bodyLimit, schema: { hide: true, params, body: capacityRequest } },
    (request): CapacityAnswer => {
      const { id: node } = request.params
      const limited = request.body.jobs.filter(({ id, bytes, waitingBytes }) => {
        if ((ledger.get(id)?.state ?? 'ended') === 'ended') return true
        usage.holds(node, id, bytes)
        return !growth.press(id, waitingBytes)
      })
      return { limited: limited.map(({ id }) => id) }
    },
  )

  app.post(
    '/internal/v1/metadata/:id/heartbeat',
    { bodyLimit, schema: { hide: true, params, body: metadataReport } },
    (request) => {
      const { id } = request.params
      if (metadata.heard(id, request.body)) {
        repair.compare(id).catch((error: unknown) => {
          log.warn({ metadata: id, reason: asMayflyError(error).reason }, 'metadata could not be compared')
        })
      }
      return {}
    },
  )
}

interface Heard {
  readonly clock: Clock
  readonly log: Logger
}
