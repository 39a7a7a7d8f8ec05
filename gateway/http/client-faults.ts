import type { Socket } from 'node:net'
import { formatXml, XML_DECLARATION } from './xml.ts'

/** S3's answers to requests that Node's parser refuses. */
const faults: Readonly<Record<string, readonly [string, string, string]>> = {
  HPE_HEADER_OVERFLOW: [
    '400 Bad Request',
    'RequestHeaderSectionTooLarge',
    'Your request header exceeds the maximum allowed size.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    '400 Bad Request',
    'RequestTimeout',
    'The headers of the request did not arrive in time.',
  ],
}
const OTHER = ['400 Bad Request', 'BadRequest', 'An error occurred when parsing the HTTP request.'] as const

/** Answers invalid HTTP and closes the connection. */
export function answerBadRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, code, message] = faults[error.code ?? ''] ?? OTHER
  const body =
    XML_DECLARATION +
    formatXml('Error', [
      ['Code', code],
      ['Message', message],
    ])
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/xml',
    `content-length: ${Buffer.byteLength(body)}`,
    `date: ${new Date().toUTCString()}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
