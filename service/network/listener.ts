import { createServer, type Socket } from 'node:net'
import { MayflyError } from '../../protocol/errors.ts'
import { BACKLOG_MAX, CONNECTIONS_MAX } from '../../protocol/limits.ts'
import { formatAddress } from '../../protocol/transport/address.ts'
import type { Dial, Link } from '../../protocol/transport/link.ts'
import { dialTcp, TcpLink } from '../../protocol/transport/tcp.ts'
import { dialTls } from '../../protocol/transport/tls.ts'
import { rebuildSocket } from './accepted-socket.ts'
import type { Certificates } from './certificates.ts'
import { advertisedAddress, type ListenAt } from './listening.ts'
import { acceptTls } from './tls-listener.ts'

/** The network of a server process: sockets in production, simulated in the simulation. */
export interface Network {
  readonly dial: Dial
  listen(at: ListenAt, accept: (link: Link) => void): Promise<Listener>
}

interface Listener {
  /** As others are told it, with the actual port. */
  readonly address: string
  /** Stops accepting and closes every connection. */
  close(): Promise<void>
}

/** Makes a link of an accepted connection; `accept` is called at most once. */
type Begin = (accepted: Socket, accept: (link: TcpLink) => void) => void

/**
 * Accepts connections at `host:port`; port 0 takes a free one. Rejects with `UNAVAILABLE` if the port is
 * taken.
 */
function listen(at: ListenAt, begin: Begin, accept: (link: Link) => void): Promise<Listener> {
  const sockets = new Set<Socket>()
  const watch = (socket: Socket): void => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    watch(accepted)
    begin(accepted, (link) => {
      if (link.socket !== accepted) watch(link.socket)
      accept(link)
    })
  })
  server.maxConnections = CONNECTIONS_MAX
  return new Promise((resolve, reject) => {
    // Once listening, an error concerns a single connection that could not be accepted.
    server.on('error', (cause) => reject(bindError(at, cause)))
    server.listen({ host: at.host, port: at.port, backlog: BACKLOG_MAX }, () => {
      const bound = server.address()
      const port = typeof bound === 'object' && bound !== null ? bound.port : at.port
      resolve({
        address: advertisedAddress(at, port),
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            for (const socket of sockets) socket.destroy()
          }),
      })
    })
  })
}

/** A driver's error at `listen`, with what to do. */
export function bindError(at: ListenAt, cause: NodeJS.ErrnoException): MayflyError {
  const reason =
    cause.code === 'EADDRINUSE'
      ? `Port ${at.port} on ${at.host} is taken by another process; stop it or choose another port`
      : `Cannot listen on ${formatAddress(at.host, at.port)}: ${cause.message}`
  return new MayflyError('UNAVAILABLE', reason, { cause })
}

const beginPlain: Begin = (accepted, accept) =>
  accept(new TcpLink((receiving) => rebuildSocket(accepted, receiving)))

export const tcpNetwork: Network = {
  dial: dialTcp,
  listen: (at, accept) => listen(at, beginPlain, accept),
}

/** Everything over TLS, in both directions; without certificates nothing. */
export function networkOf(certificates: Certificates | null): Network {
  if (certificates === null) return tcpNetwork
  const begin: Begin = (accepted, accept) => acceptTls(accepted, certificates, accept)
  return { dial: dialTls(certificates.trust), listen: (at, accept) => listen(at, begin, accept) }
}
