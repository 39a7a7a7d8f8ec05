import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import type { Registry } from 'prom-client'
import { BACKLOG_MAX } from '../protocol/limits.ts'
import type { Runtime } from '../protocol/runtime.ts'
import type { Certificates } from '../service/network/certificates.ts'
import { makeHttpServer } from '../service/network/http-server.ts'
import { bindError } from '../service/network/listener.ts'
import { advertisedAddress, type ListenAt } from '../service/network/listening.ts'
import type { Logger } from '../service/process/log.ts'
import type { SecretOf } from './access/signature.ts'
import type { AccessLog } from './access-log.ts'
import { answerBadRequest } from './http/client-faults.ts'
import { BodyMemory } from './http/memory.ts'
import { Paces } from './http/pace.ts'
import { type Issue, OpenJobs } from './jobs/open-jobs.ts'
import {
  BODIES_BYTES_MAX,
  GATEWAY_CONNECTIONS_MAX,
  HEADERS_BYTES_MAX,
  HEADERS_MS_MAX,
  IDLE_MS_MAX,
} from './limits.ts'
import { addMetrics } from './metrics.ts'
import { RequestHandler } from './request-handler.ts'

export interface GatewayOptions {
  readonly listen: ListenAt
  /** Null without TLS. */
  readonly certificates: Certificates | null
  /** The URL of clients; null for that of the listener. */
  readonly endpoint: string | null
  readonly runtime: Runtime
  /** Processes that serve beside one another, this one included; 1 by default. */
  readonly processes?: number
  readonly secretOf: SecretOf
  readonly issue: Issue
  readonly registry: Registry
  readonly accessLog: AccessLog
  readonly log: Logger
}

export interface Gateway {
  readonly address: string
  readonly endpoint: string
  stop(): Promise<void>
}

/** How long requests under way may take when the gateway stops. */
const STOP_MS_MAX = 3_000
/** Node looks for slow headers at this interval. */
const CHECK_MS = 1_000

/** Serves S3 until it is stopped. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { listen, runtime, secretOf, issue, registry, accessLog, log, processes = 1 } = options
  const { clock } = runtime
  const jobs = new OpenJobs(issue, clock)
  const paces = new Paces(clock)
  const memory = new BodyMemory(clock, BODIES_BYTES_MAX / processes)
  const server = newServer(options.certificates)
  const open = new Set<object>()
  const count = addMetrics(registry, {
    connections: () => open.size,
    openJobs: () => jobs.count,
    bodyBytes: () => memory.usedBytes,
  })
  const domains: string[] = ['localhost']
  const handler = new RequestHandler({ secretOf, jobs, paces, memory, clock, domains, count, accessLog, log })
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse): void =>
    void handler.handle(incoming, outgoing)
  // A client that waits before it sends its body is told to when an operation reads it.
  server.on('request', handle).on('checkContinue', handle)
  server.on('connection', (socket) => {
    // `maxConnections` is not for workers: node:cluster would offer the connection to all of them again and again.
    if (open.size >= GATEWAY_CONNECTIONS_MAX) {
      // The refused client comes again; idle ones open another connection when they need one.
      server.closeIdleConnections()
      return void socket.destroy()
    }
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(bindError(listen, cause)))
    server.listen({ host: listen.host, port: listen.port, backlog: BACKLOG_MAX }, resolve)
  })
  server.on('error', ({ message }) => log.warn({ reason: message }, 'a connection was not accepted'))
  const { port } = server.address() as AddressInfo
  const address = advertisedAddress(listen, port)
  const endpoint = options.endpoint ?? endpointOf(address, { isTls: options.certificates !== null })
  const { hostname } = new URL(endpoint)
  if (isIP(hostname.replace(/[[\]]/g, '')) === 0) domains.push(hostname)
  return {
    address,
    endpoint,
    stop: async () => {
      const cut = clock.after(STOP_MS_MAX, () => server.closeAllConnections())
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      })
      cut.cancel()
      paces.stop()
      jobs.close()
      accessLog.close()
    },
  }
}

/** The URL of clients, unless another one is configured. */
export function endpointOf(address: string, { isTls }: { isTls: boolean }): string {
  return `${isTls ? 'https' : 'http'}://${address}`
}

function newServer(certificates: Certificates | null): Server {
  const server = makeHttpServer(certificates, {
    maxHeaderSize: HEADERS_BYTES_MAX,
    headersTimeout: HEADERS_MS_MAX,
    // Bodies have a pace instead of a time: an upload may take hours.
    requestTimeout: 0,
    keepAliveTimeout: IDLE_MS_MAX,
    connectionsCheckingInterval: CHECK_MS,
    noDelay: true,
    requireHostHeader: true,
  })
  server.on('clientError', answerBadRequest)
  return server
}
