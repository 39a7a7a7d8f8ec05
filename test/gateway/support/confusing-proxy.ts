import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** The connection to the other process lasts so long: until the client knows who it is. */
const OTHER_MS = 300

interface ConfusingProxy {
  readonly address: string
  /** Connections from now on are those of the client under test. */
  watch(): void
  /**
   * Drops the next request, or the next answer, of a watched connection, and closes the connection. The next one leads to the other
   * process, as if the node had been replaced: a client that waits for an answer does not learn whether its request was carried out.
   */
  lose(what: 'request' | 'answer'): void
}

/** Forwards to the address of a node, and once to that of another one. */
export async function startConfusingProxy(node: string, other: string): Promise<ConfusingProxy> {
  let isWatching = false
  let losing: 'request' | 'answer' | null = null
  let isConfused = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const isWatched = isWatching
    const leadsAstray = isWatched && isConfused
    isConfused &&= !leadsAstray
    const [host, port] = (leadsAstray ? other : node).split(':')
    const far = connect(Number(port), host)
    const close = (): void => {
      near.destroy()
      far.destroy()
    }
    if (leadsAstray) setTimeout(close, OTHER_MS)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', close).on('close', close)
    }
    const pass = (from: Socket, to: Socket, what: 'request' | 'answer'): void => {
      from.on('data', (bytes) => {
        if (!isWatched || losing !== what) return void to.write(bytes)
        losing = null
        isConfused = true
        close()
      })
    }
    pass(near, far, 'request')
    pass(far, near, 'answer')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    watch: () => {
      isWatching = true
    },
    lose: (what) => {
      losing = what
    },
  }
}
