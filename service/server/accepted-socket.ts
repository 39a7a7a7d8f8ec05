import { Socket, type SocketConstructorOpts } from 'node:net'
import type { Receiving } from '../../protocol/transport/tcp.ts'

/** Node's own handle of a connection: undocumented, and used here alone. */
interface Accepted {
  _handle: object | null
}

/**
 * A socket that receives into memory of its reader's choice, on a connection that a server has accepted. Node offers
 * this (`onread`) for connections that it opens, not for those that it accepts; a socket that is made anew on the same
 * handle honours it. The accepted socket keeps its place in the server's count of connections until the new one is closed.
 * Where Node has no such handle the accepted socket itself is given back, which emits `data`.
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
