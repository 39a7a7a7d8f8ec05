import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type Certificates, tlsOptions } from './certificates.ts'

/** A server of HTTP, or of HTTPS where there are certificates. The types of the two differ, and what is used of them does not. */
export function makeHttpServer(
  certificates: Certificates | null,
  options: ServerOptions,
  listener?: RequestListener,
): Server {
  if (certificates === null) return createServer(options, listener)
  const server = createTlsServer({ ...options, ...tlsOptions(certificates.shown) }, listener)
  certificates.keepCurrent(server)
  return server as unknown as Server
}
