import { createServer, type Socket } from 'node:net'
import { MayflyError } from '../../protocol/errors.ts'
import { BACKLOG_MAX, CONNECTIONS_MAX } from '../../protocol/limits.ts'
import type { Dial, Link } from '../../protocol/transport/link.ts'
import { dialTcp, formatAddress, TcpLink } from '../../protocol/transport/tcp.ts'
import { rebuildSocket } from './accepted-socket.ts'

/** The network of a server process: sockets in production, simulated in the simulation. */
export interface Network {
  readonly dial: Dial
  listen(at: ListenAt, accept: (link: Link) => void): Promise<Listener>
}

export interface ListenAt {
  readonly host: string
  readonly port: number
}

interface Listener {
  /** With the actual port. */
  readonly address: string
  /** Stops accepting and closes every connection. */
  close(): Promise<void>
}

/**
 * Accepts connections at `host:port`; port 0 takes a free one. Rejects with `UNAVAILABLE` if the port is
 * taken.
 */
function listen(at: ListenAt, accept: (link: Link) => void): Promise<Listener> {
  const sockets = new Set<Socket>()
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    const link = new TcpLink((receiving) => rebuildSocket(accepted, receiving))
    sockets.add(link.socket)
    link.socket.once('close', () => sockets.delete(link.socket))
    accept(link)
  })
  server.maxConnections = CONNECTIONS_MAX
  return new Promise((resolve, reject) => {
    // Once listening, an error concerns a single connection that could not be accepted.
    server.on('error', (cause) => reject(bindError(at, cause)))
    server.listen({ ...at, backlog: BACKLOG_MAX }, () => {
      const bound = server.address()
      const port = typeof bound === 'object' && bound !== null ? bound.port : at.port
      resolve({
        address: formatAddress(at.host, port),
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

export const tcpNetwork: Network = { dial: dialTcp, listen }
