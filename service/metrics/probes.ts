import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import type { Certificates } from '../network/certificates.ts'
import { makeHttpServer } from '../network/http-server.ts'
import { bindError } from '../network/listener.ts'
import { advertisedAddress, type ListenAt } from '../network/listening.ts'
import type { Service } from '../process/lifecycle.ts'
import { type PlaneName, processRegistry } from './process-metrics.ts'

/** Scrapers and probes at once. */
const CONNECTIONS_MAX = 32
const REQUEST_MS_MAX = 5_000

export interface Probes {
  /** What `/metrics` answers. */
  readonly registry: Registry
  /** As others are told it. */
  readonly address: string
  /** To be called by a process that waits until it may lead. */
  readonly onStandby: () => void
}

interface ProbesOptions {
  readonly plane: PlaneName
  readonly at: ListenAt
  readonly certificates: Certificates | null
  /** What `/metrics` answers, where other processes serve for this one; those of the registry if not given. */
  readonly metrics?: (() => Promise<string>) | undefined
}

/** Null if the process serves. */
type Unready = 'it is starting' | 'it is a standby' | 'it is draining' | 'it is stopping' | null

/**
 * Runs a server process with `/healthz`, `/readyz` and `/metrics` on a port of their own, from before `start` until it has stopped. They
 * need no key: what they say names no job, no key and no object. `/readyz` answers 503 until the process serves, and from the
 * moment it is told to stop; `/readyz?standby=true` answers 200 also while it waits as a standby.
 */
export async function withProbes(
  of: ProbesOptions,
  start: (probes: Probes) => Promise<Service>,
): Promise<Service> {
  const registry = processRegistry(of.plane)
  let unready: Unready = 'it is starting'
  const server = await serve(
    of,
    answer(
      { metrics: of.metrics ?? (() => registry.metrics()), contentType: registry.contentType },
      () => unready,
    ),
  )
  const address = advertisedAddress(of.at, (server.address() as AddressInfo).port)
  const onStandby = (): void => {
    unready = 'it is a standby'
  }
  const running = await start({ registry, address, onStandby })
  unready = null
  const { drain } = running
  return {
    address: running.address,
    ...(drain !== undefined && {
      drain: (hurry) => {
        unready = 'it is draining'
        return drain(hurry)
      },
    }),
    stop: async () => {
      unready = 'it is stopping'
      await running.stop()
      await new Promise<void>((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      })
    },
  }
}

function answer(
  { metrics, contentType }: { metrics: () => Promise<string>; contentType: string },
  unready: () => Unready,
): RequestListener {
  return (request, response) => {
    request.resume()
    const [path, query] = (request.url ?? '').split('?')
    const say = (status: number, text: string, type = 'text/plain'): void =>
      void response.writeHead(status, { 'content-type': type }).end(text)
    if (request.method !== 'GET' && request.method !== 'HEAD') return say(405, 'Use GET\n')
    if (path === '/healthz') return say(200, 'ok\n')
    if (path === '/readyz') {
      const why = unready()
      const isReady = why === null || (why === 'it is a standby' && query === 'standby=true')
      return isReady ? say(200, 'ok\n') : say(503, `${why}\n`)
    }
    if (path !== '/metrics') return say(404, 'See GET /healthz, GET /readyz and GET /metrics\n')
    metrics().then(
      (text) => say(200, text, contentType),
      (error: unknown) => say(500, `${error}\n`),
    )
  }
}

/** The server never keeps the process alive. Rejects with `UNAVAILABLE` if the port is taken. */
async function serve(
  { at, certificates }: { at: ListenAt; certificates: Certificates | null },
  listener: RequestListener,
) {
  const server = makeHttpServer(certificates, { requestTimeout: REQUEST_MS_MAX }, listener)
  server.maxConnections = CONNECTIONS_MAX
  server.on('clientError', (_error, socket) => socket.destroy())
  const { host, port } = at
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(bindError({ host, port }, cause)))
    server.listen({ host, port }, resolve)
  })
  server.on('error', () => undefined)
  server.unref()
  return server
}
