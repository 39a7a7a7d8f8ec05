import { Counter, Histogram, type Registry } from 'prom-client'
import { latencyBoundsMs } from '../protocol/operations/reports.ts'
import { scrapedGauge } from '../service/metrics/scraped.ts'

/** A request that has ended. */
export interface Ended {
  readonly operation: string
  /** Of S3; empty where there was no error. */
  readonly code: string
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly ms: number
}

interface Gauges {
  readonly connections: () => number
  readonly openJobs: () => number
  readonly bodyBytes: () => number
}

/** Counts requests by operation. Returns the function to call at the end of each request. */
export function addMetrics(registry: Registry, gauges: Gauges): (ended: Ended) => void {
  const registers = [registry]
  const labelNames = ['operation'] as const
  const requests = new Counter({
    name: 'mayfly_s3_requests_total',
    help: 'Requests of S3 clients by operation',
    labelNames,
    registers,
  })
  const errors = new Counter({
    name: 'mayfly_s3_errors_total',
    help: 'Requests of S3 clients that were answered with an error, by operation and code',
    labelNames: ['operation', 'code'],
    registers,
  })
  const received = new Counter({
    name: 'mayfly_s3_received_bytes_total',
    help: 'Bytes of bodies from S3 clients by operation',
    labelNames,
    registers,
  })
  const sent = new Counter({
    name: 'mayfly_s3_sent_bytes_total',
    help: 'Bytes of bodies to S3 clients by operation',
    labelNames,
    registers,
  })
  const duration = new Histogram({
    name: 'mayfly_s3_request_duration_seconds',
    help: 'From the headers of a request to the last byte of its answer',
    labelNames,
    buckets: latencyBoundsMs.map((ms) => ms / 1000),
    registers,
  })
  scrapedGauge(registry, 'mayfly_s3_connections', {
    help: 'Open connections of S3 clients',
    read: () => [[{}, gauges.connections()]],
  })
  scrapedGauge(registry, 'mayfly_s3_open_jobs', {
    help: 'Access keys whose job the gateway has open',
    read: () => [[{}, gauges.openJobs()]],
  })
  scrapedGauge(registry, 'mayfly_s3_body_bytes', {
    help: 'Bytes of bodies in memory, as they are charged',
    read: () => [[{}, gauges.bodyBytes()]],
  })
  return ({ operation, code, receivedBytes, sentBytes, ms }) => {
    requests.inc({ operation })
    if (code !== '') errors.inc({ operation, code })
    if (receivedBytes > 0) received.inc({ operation }, receivedBytes)
    if (sentBytes > 0) sent.inc({ operation }, sentBytes)
    duration.observe({ operation }, ms / 1000)
  }
}
