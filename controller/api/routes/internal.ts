import Type from 'typebox'
import { REPORT_BYTES_MAX } from '../../../protocol/limits.ts'
import type { CapacityAnswer, NodeReport, NodeReportAnswer } from '../../../protocol/operations/reports.ts'
import type { Clock } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import type { TaskFailures } from '../../events/task-failures.ts'
import { peakOf } from '../../jobs/usage.ts'
import { capacityRequest, metadataReport, nodeReport } from '../report-schemas.ts'
import type { Api, Routes } from './api.ts'

const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) })
const bodyLimit = REPORT_BYTES_MAX

/** Heartbeats of the cluster's own processes; no part of the public API. */
export function internalRoutes(
  app: Api,
  {
    nodes,
    ledger,
    usage,
    metadata,
    repair,
    drains,
    relocations,
    growth,
    clock,
    background,
    tasks,
  }: Routes & Heard,
): void {
  app.post(
    '/internal/v1/nodes/:id/heartbeat',
    { bodyLimit, schema: { hide: true, params, body: nodeReport } },
    async (request): Promise<NodeReportAnswer> => {
      const report = request.body as NodeReport
      await nodes.heard(request.params.id, report)
      tasks.heard(request.params.id, report.tasks)
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
        void background.attempt(['compareMetadata', id], () => repair.compare(id))
      }
      tasks.heard(id, request.body.tasks)
      return {}
    },
  )
}

interface Heard {
  readonly clock: Clock
  readonly background: Background
  readonly tasks: TaskFailures
}
