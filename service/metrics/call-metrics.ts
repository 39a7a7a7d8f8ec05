import { Counter, Gauge, type Registry } from 'prom-client'
import { latencyBoundsMs } from '../../protocol/operations/reports.ts'
import type { CallCounts } from './call-counts.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { operationNames } from './operation-names.ts'

/** Registers what a server of the wire counts. Everything is read when it is scraped. */
export function addCallMetrics(
  registry: Registry,
  of: {
    readonly calls: CallCounts
    readonly connections: { readonly count: number }
  },
): void {
  const { calls, connections } = of
  const registers = [registry]
  const nameOf = (kind: number): string => operationNames.get(kind) ?? 'other'
  const counter = (name: string, help: string, read: (each: Counter<'operation'>) => void): void => {
    new Counter({
      name,
      help,
      labelNames: ['operation'],
      registers,
      collect() {
        this.reset()
        read(this)
      },
    })
  }
  counter('mayfly_requests_total', 'Requests by operation', (each) => {
    for (const { kind, requests } of calls.all) each.inc({ operation: nameOf(kind) }, requests)
  })
  counter('mayfly_request_payload_bytes_total', 'Payload bytes of requests by operation', (each) => {
    for (const { kind, receivedBytes } of calls.all) each.inc({ operation: nameOf(kind) }, receivedBytes)
  })
  new Counter({
    name: 'mayfly_response_payload_bytes_total',
    help: 'Payload bytes of answers',
    registers,
    collect() {
      this.reset()
      this.inc(calls.sentBytes)
    },
  })
  new Counter({
    name: 'mayfly_request_errors_total',
    help: 'Requests that were answered with an error, by operation and error code',
    labelNames: ['operation', 'code'],
    registers,
    collect() {
      this.reset()
      for (const { kind, errors } of calls.all)
        for (const [code, count] of errors) this.inc({ operation: nameOf(kind), code }, count)
    },
  })
  new LatencyHistogram({
    registers,
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
  new Gauge({
    name: 'mayfly_connections',
    help: 'Open connections of jobs',
    registers,
    collect() {
      this.set(connections.count)
    },
  })
}
