import type { Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { MayflyError } from '../../protocol/errors.ts'
import { type Certificates, tlsOptions } from '../../service/network/certificates.ts'
import { HTTP_CHECK_MS, HTTP_REQUEST_MS_MAX } from '../limits.ts'
import type { Api } from './routes/api.ts'

/** Node applies the larger of the two timeouts to the whole request; the default for the headers is a minute. */
const http = { connectionsCheckingInterval: HTTP_CHECK_MS, headersTimeout: HTTP_REQUEST_MS_MAX }

/** Options of fastify that make its server, with TLS or without. The types of the two differ, and what is used of them does not. */
export function serverOptions(certificates: Certificates | null): { http: typeof http } {
  if (certificates === null) return { http }
  return { https: { ...http, ...tlsOptions(certificates.shown) } } as unknown as { http: typeof http }
}

/** New connections get the certificates of now; a client without TLS is answered. */
export function followCertificates(app: Api, certificates: Certificates): void {
  const server = app.server as unknown as Server
  certificates.keepCurrent(server)
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    if (error.code === 'ERR_SSL_HTTP_REQUEST') answerPlain(socket)
  })
}

/** Node closes the connection after this event; until then the socket below TLS takes bytes. */
function answerPlain(socket: TLSSocket): void {
  const { _parent: below } = socket as unknown as { _parent?: { write(text: string): void } }
  const { code, message } = new MayflyError('TLS_FAILED', 'This port speaks TLS; use an https:// URL')
  const body = `${JSON.stringify({ error: { code, message } })}\n`
  const head = [
    'HTTP/1.1 400 Bad Request',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  below?.write(`${head.join('\r\n')}\r\n\r\n${body}`)
}
