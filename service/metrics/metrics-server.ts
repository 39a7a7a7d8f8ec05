import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { formatAddress } from '../../protocol/transport/tcp.ts'

/** Scrapers at once. */
const CONNECTIONS_MAX = 32
const REQUEST_MS_MAX = 5_000

export interface MetricsServer {
  /** `host:port` */
  readonly address: string
  close(): Promise<void>
}

/**
 * Serves `GET /metrics` of a process on a free port of `host`. It needs no key: what it says names no job, no key and no object. It never
 * keeps the process alive.
 */
export async function serveMetrics(registry: Registry, host: string): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: REQUEST_MS_MAX }, (request, response) => {
    request.resume()
    const [path] = (request.url ?? '').split('?')
    if (request.method !== 'GET' || path !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('See GET /metrics\n')
      return
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500, { 'content-type': 'text/plain' }).end(`${error}\n`),
    )
  })
  server.maxConnections = CONNECTIONS_MAX
  server.on('clientError', (_error, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port: 0 }, resolve)
  })
  server.on('error', () => undefined)
  server.unref()
  return {
    address: formatAddress(host, (server.address() as AddressInfo).port),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}
