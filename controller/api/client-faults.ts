import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { MayflyError } from '../../protocol/errors.ts'

interface Fault {
  readonly status: number
  readonly error: MayflyError
}

/** Maps the code of an error of Node's HTTP parser to a status and a message. */
function faultOf(code: string | undefined): Fault {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, error: new MayflyError('BAD_REQUEST', 'The request did not arrive in time') }
    case 'HPE_HEADER_OVERFLOW':
      return {
        status: 431,
        error: new MayflyError('BAD_REQUEST', 'Path and headers are longer than a request may have'),
      }
    default:
      return { status: 400, error: new MayflyError('BAD_REQUEST', 'The request is not HTTP/1.1') }
  }
}

/** Answers bytes that are not a valid HTTP request with the API's error body, and closes the connection. */
export function answerClientFault(cause: NodeJS.ErrnoException, socket: Socket): void {
  if (cause.code === 'ECONNRESET' || socket.destroyed) return
  if (!socket.writable) return void socket.destroy()
  const { status, error } = faultOf(cause.code)
  const body = JSON.stringify({ error: { code: error.code, message: error.message } })
  // The peer may go on sending; ending only our side would leave the connection open.
  const answer = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ]
  socket.write(answer.join('\r\n'))
  socket.destroySoon()
}
