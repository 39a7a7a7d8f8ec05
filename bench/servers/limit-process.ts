import { connect, createServer } from 'node:net'
import { FrameReader, FrameWriter } from './limit-frames.ts'

/**
 * The ceiling: one Map and raw `net`, without any check. Node reads fastest into buffers that the reader supplies, and only the connecting side can supply
 * them. So the client connects to get, and the server connects to the client to receive puts.
 */
const objects = new Map<string, Buffer>()

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  const answers = new FrameWriter(socket)
  const reader = new FrameReader(({ id, key }) => {
    // The first frame has the client's listening port; every other frame asks for an object.
    if (id === 0) return takePuts(Number(key))
    answers.write({ id, key: '', payload: objects.get(key) ?? Buffer.alloc(0) })
  })
  socket.on('data', (bytes) => reader.push(bytes))
})

function takePuts(port: number): void {
  const reader = new FrameReader(({ id, key, payload }) => {
    objects.set(key, payload)
    answers.write({ id, key: '', payload: Buffer.alloc(0) })
  })
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: reader.onread })
  socket.on('error', () => socket.destroy())
  const answers = new FrameWriter(socket)
}

server.listen(0, '127.0.0.1', () => process.send?.(server.address()))
process.on('disconnect', () => process.exit(0))
