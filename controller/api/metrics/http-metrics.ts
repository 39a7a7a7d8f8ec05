import { Counter, Histogram, type Registry } from 'prom-client'
import type { Api } from '../routes/api.ts'

/** The label of requests that match no route: arbitrary paths would make an unbounded number of series. */
const NO_ROUTE = 'none'

/** Counts the requests of the HTTP API by route, with their durations. Of event streams and waiting registrations only the number is counted. */
export function addHttpMetrics(app: Api, registry: Registry): void {
  const registers = [registry]
  const requests = new Counter({
    name: 'mayfly_http_requests_total',
    help: 'Requests of the HTTP API by method, route and status',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  const duration = new Histogram({
    name: 'mayfly_http_request_duration_seconds',
    help: 'Time of requests of the HTTP API by route',
    labelNames: ['route'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? NO_ROUTE
    requests.inc({ method: request.method, route, status: String(reply.statusCode) })
    duration.observe({ route }, reply.elapsedTime / 1000)
  })
}
