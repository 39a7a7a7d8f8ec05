import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/**
 * Makes an address of loopback that pods reach, and forwards its connections to a port of 127.0.0.1, as a Service proxy would. Resolves
 * with a function that ends it.
 */
export async function forward(address: string, port: number, target: number): Promise<() => void> {
  addAddress(address)
  const sockets = new Set<Socket>()
  const server = createServer((inner) => {
    const outer = connect(target, '127.0.0.1')
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  server.listen(port, address)
  await once(server, 'listening')
  return () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    removeAddress(address)
  }
}

export function addAddress(address: string): void {
  const shown = execFileSync('ip', ['-o', 'address', 'show', 'dev', 'lo'], { encoding: 'utf8' })
  if (!shown.includes(` ${address}/`)) execFileSync('ip', ['address', 'add', `${address}/32`, 'dev', 'lo'])
}

export function removeAddress(address: string): void {
  execFileSync('ip', ['address', 'delete', `${address}/32`, 'dev', 'lo'])
}
