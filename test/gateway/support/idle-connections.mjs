import { once } from 'node:events'
import { connect } from 'node:net'

/** Opens COUNT connections to PORT, sends a request over each, tells its parent, and keeps them until it is ended. */
const [port, count] = process.argv.slice(2).map(Number)
process.on('disconnect', () => process.exit(0))
const sockets = []
while (sockets.length < count) {
  const some = Array.from({ length: Math.min(100, count - sockets.length) }, (_, index) => {
    // Addresses of their own: one address has 28,000 ports, and other tests use some.
    const localAddress = `127.0.0.${2 + ((sockets.length + index) % 10)}`
    return connect({ port, host: '127.0.0.1', localAddress })
  })
  // A connection without any request is closed after some seconds.
  for (const socket of some) socket.write('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
  await Promise.all(some.map((socket) => once(socket, 'data')))
  sockets.push(...some)
}
let open = sockets.length
for (const socket of sockets) socket.on('close', () => open--)
process.send({ open })
