import type { Registry } from 'prom-client'
import { operationNames } from '../../protocol/operations/operations.ts'
import { latencyBoundsMs } from '../../protocol/operations/reports.ts'
import type { CallCounts } from './call-counts.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { scrapedCounter, scrapedGauge } from './scraped.ts'

/** Registers the metrics of a server of the wire protocol. */
export function addCallMetrics(
  registry: Registry,
  of: {
    readonly calls: CallCounts
    readonly connections: { readonly count: number }
  },
): void {
  const { calls, connections } = of
  const nameOf = (kind: number): string => operationNames.get(kind) ?? 'other'
  scrapedCounter(registry, 'mayfly_requests_total', {
    help: 'Requests by operation',
    labelNames: ['operation'],
    read: () => calls.all.map(({ kind, requests }) => [{ operation: nameOf(kind) }, requests]),
  })
  scrapedCounter(registry, 'mayfly_request_payload_bytes_total', {
    help: 'Payload bytes of requests by operation',
    labelNames: ['operation'],
    read: () => calls.all.map(({ kind, receivedBytes }) => [{ operation: nameOf(kind) }, receivedBytes]),
  })
  scrapedCounter(registry, 'mayfly_response_payload_bytes_total', {
    help: 'Payload bytes of answers',
    read: () => [[{}, calls.sentBytes]],
  })
  scrapedCounter(registry, 'mayfly_request_errors_total', {
    help: 'Requests that were answered with an error, by operation and error code',
    labelNames: ['operation', 'code'],
    read: () =>
      calls.all.flatMap(({ kind, errors }) =>
        Array.from(errors, ([code, count]) => [{ operation: nameOf(kind), code }, count] as const),
      ),
  })
  new LatencyHistogram({
    registers: [registry],
    name: 'mayfly_request_duration_seconds',
    help: 'From reading a request to handing over its answer; requests that waited for a key or for room are not in it',
    boundsSeconds: latencyBoundsMs.map((ms) => ms / 1000),
    read: () =>
      calls.all.map(({ kind, latency, latencyMs }) => ({
        labels: { operation: nameOf(kind) },
        counts: latency,
        sumSeconds: latencyMs / 1000,
      })),
  })
  scrapedGauge(registry, 'mayfly_connections', {
    help: 'Open connections of jobs',
    read: () => [[{}, connections.count]],
  })
}
