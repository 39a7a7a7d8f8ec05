import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { MayflyError } from '../../protocol/errors.ts'

interface Fault {
  readonly status: number
  readonly error: MayflyError
}

/** What Node's parser refuses before there is a request: by the code of its error. */
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

/** Answers what is no request in the form that the API has for every error, and ends the connection. */
export function answerClientFault(cause: NodeJS.ErrnoException, socket: Socket): void {
  if (cause.code === 'ECONNRESET' || socket.destroyed) return
  if (!socket.writable) return void socket.destroy()
  const { status, error } = faultOf(cause.code)
  const body = JSON.stringify({ error: { code: error.code, message: error.message } })
  // The peer may go on sending: to end our side alone would leave it connected.
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
