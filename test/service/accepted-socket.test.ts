import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Link } from '../../protocol/transport/link.ts'
import { TcpLink } from '../../protocol/transport/tcp.ts'
import { rebuildSocket } from '../../service/network/accepted-socket.ts'

const open: { destroy(): unknown }[] = []
const servers: Server[] = []

afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) {
    server.close()
    await once(server, 'close')
  }
})

/** A server that passes its links to `accept`, and a client of it. */
async function connection(
  accept: (link: TcpLink, accepted: Socket) => void,
  rebuild: typeof rebuildSocket = rebuildSocket,
) {
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    const link = new TcpLink((receiving) => rebuild(accepted, receiving))
    open.push(link)
    accept(link, accepted)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  open.push(client)
  await once(client, 'connect')
  return { server, client }
}

/** Receives all bytes until the peer ends, into one buffer; resolves with it. */
function receive(link: Link, memory: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    let received = 0
    link.open({
      space: () => memory.subarray(received),
      filled: (bytes) => {
        received += bytes
      },
      drained: () => undefined,
      silent: () => undefined,
      closed: () => resolve(memory.subarray(0, received)),
    })
  })
}

const message = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 253))

test('an accepted connection receives into memory of its reader, and none is allocated for it', async () => {
  let received: Promise<Buffer> = Promise.resolve(Buffer.alloc(0))
  let pieces = 0
  const { client } = await connection((link, accepted) => {
    expect(link.socket).not.toBe(accepted)
    link.socket.on('data', () => pieces++)
    received = receive(link, Buffer.alloc(message.length + 1))
  })
  client.end(message)
  await once(client, 'close')
  expect((await received).equals(message)).toBe(true)
  expect(pieces).toBe(0)
})

test('a server counts a connection until it is closed, so that its bound and its end hold', async () => {
  const { server, client } = await connection((link) => void receive(link, Buffer.alloc(10)))
  const connections = (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
    })
  await expect.poll(connections).toBe(1)
  client.end()
  await expect.poll(connections).toBe(0)
})

test('a connection on which Node has no such handle is received as usual', async () => {
  let received: Promise<Buffer> = Promise.resolve(Buffer.alloc(0))
  const { client } = await connection(
    (link, accepted) => {
      expect(link.socket).toBe(accepted)
      received = receive(link, Buffer.alloc(message.length + 1))
    },
    (accepted, receiving) => {
      Object.defineProperty(accepted, '_handle', { value: undefined, configurable: true })
      const socket = rebuildSocket(accepted, receiving)
      Reflect.deleteProperty(accepted, '_handle')
      return socket
    },
  )
  client.end(message)
  await once(client, 'close')
  expect((await received).equals(message)).toBe(true)
})

test('a paused connection is not read from, and goes on where it stopped', async () => {
  let link: TcpLink | null = null
  let received = 0
  const { client } = await connection((accepted) => {
    link = accepted
    accepted.open({
      space: () => Buffer.alloc(1000),
      filled: (bytes) => {
        received += bytes
      },
      drained: () => undefined,
      silent: () => undefined,
      closed: () => undefined,
    })
    accepted.pause()
  })
  client.write(message)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(received).toBe(0)
  ;(link as TcpLink | null)?.resume()
  await expect.poll(() => received).toBe(message.length)
})
