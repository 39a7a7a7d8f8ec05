import type { Socket } from 'node:net'
import { TLSSocket, type TLSSocketOptions } from 'node:tls'
import { errorTable } from '../../protocol/errors.ts'
import { HELLO_MS_MAX } from '../../protocol/limits.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import type { Link } from '../../protocol/transport/link.ts'
import { Outbox } from '../../protocol/transport/outbox.ts'
import { type Receiving, TcpLink } from '../../protocol/transport/tcp.ts'
import { errorReply } from '../../protocol/wire/error-reply.ts'
import type { Certificates } from './certificates.ts'

/** The type of a TLS record with a handshake: the first byte of every connection with TLS (RFC 8446, section 5.1). */
const HANDSHAKE_RECORD = 22

/** Node's undocumented parts of a TLS socket; used only here. */
interface Inner {
  /** Wraps the handle of a connection; `handle` is missing for a socket that is yet to connect. */
  _wrapHandle(wrap: object | null, handle: object | undefined, ...rest: unknown[]): object
  _tlsOptions: { accepted?: object }
  _handle: { receive(bytes: Buffer): void } | null
  _releaseControl(): void
  connecting: boolean
}

const inner = TLSSocket.prototype as unknown as Partial<Inner>

/** A TLS socket on the handle of an accepted connection, made as for an outgoing one, which alone can have `onread`. */
class AcceptedTls extends TLSSocket {
  _wrapHandle(wrap: object | null, handle: object | undefined, ...rest: unknown[]): object {
    const { accepted } = (this as unknown as Inner)._tlsOptions
    return (inner._wrapHandle as Inner['_wrapHandle']).call(this, wrap, handle ?? accepted, ...rest)
  }
}

/**
 * Waits for the first bytes of an accepted connection, and begins TLS. `accept` gets the link at once: what is written to it waits for the
 * handshake. A client without TLS is answered with an error in its own protocol.
 */
export function acceptTls(
  accepted: Socket,
  certificates: Certificates,
  accept: (link: TcpLink) => void,
): void {
  const late = systemRuntime.clock.after(HELLO_MS_MAX, () => accepted.destroy())
  accepted.once('close', () => late.cancel()).on('error', () => undefined)
  accepted.once('data', (first: Buffer) => {
    late.cancel()
    accepted.pause()
    if (first[0] === HANDSHAKE_RECORD)
      accept(new TcpLink((receiving) => beginTls(accepted, { first, receiving, certificates })))
    else refuse(accepted)
  })
  accepted.resume()
}

interface Beginning {
  /** The bytes that were read already. */
  readonly first: Buffer
  readonly receiving: Receiving
  readonly certificates: Certificates
}

/** A socket that reads into memory of its reader; if Node's internals have changed, one that emits `data`. */
export function beginTls(accepted: Socket, { first, receiving, certificates }: Beginning): Socket {
  const options: TLSSocketOptions = { isServer: true, secureContext: certificates.context }
  const holder = accepted as unknown as { _handle: object | null }
  const handle = holder._handle
  if (handle === null || handle === undefined || inner._wrapHandle === undefined) {
    accepted.unshift(first)
    return new TLSSocket(accepted, options)
  }
  holder._handle = null
  const own = { ...options, onread: receiving, accepted: handle }
  const socket = new AcceptedTls(undefined as unknown as Socket, own)
  const opened = socket as unknown as Inner
  // Without a socket Node assumes that the handle is not connected yet.
  opened.connecting = false
  opened._releaseControl()
  // A handshake that fails is reported in the next turn, when the link may be closed already.
  socket.once('close', () => accepted.destroy()).on('error', () => undefined)
  opened._handle?.receive(first)
  return socket
}

/** Sent instead of the challenge. */
function refuse(accepted: Socket): void {
  const link = new TcpLink(() => accepted)
  const reason = 'This port speaks TLS, and the client does not; use a ticket of now'
  const outbox = new Outbox(link as Link)
  outbox.send({ id: 0, kind: errorTable.TLS_FAILED.wire, codec: errorReply, head: { reason } })
  outbox.flush()
  accepted.end()
}
