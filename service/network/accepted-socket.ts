import { Socket, type SocketConstructorOpts } from 'node:net'
import type { Receiving } from '../../protocol/transport/tcp.ts'

/** Node's undocumented handle of a connection; used only here. */
interface Accepted {
  _handle: object | null
}

/**
 * An accepted socket that reads into memory of its reader. Node offers this (`onread`) only for outgoing
 * connections; a new socket on the same handle supports it. The accepted socket keeps its place in the
 * server's connection count until the new one is closed. Without a handle the accepted socket itself is
 * returned, which emits `data`.
 */
export function rebuildSocket(accepted: Socket, onread: Receiving): Socket {
  const holder = accepted as unknown as Accepted
  const handle = holder._handle
  if (handle === null || handle === undefined) return accepted
  holder._handle = null
  const options = { handle, onread, pauseOnCreate: true, readable: true, writable: true }
  const socket = new Socket(options as unknown as SocketConstructorOpts)
  socket.once('close', () => accepted.destroy())
  return socket
}
