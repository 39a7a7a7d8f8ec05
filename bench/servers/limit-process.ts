import { connect, createServer } from 'node:net'
import { FrameReader, FrameWriter } from './limit-frames.ts'

/**
 * The ceiling: one Map and raw `net`, with no check of anything. Node reads fastest into buffers of the reader's own,
 * and lets only the side that dials do so; so a client dials for what it gets, and is dialled for what it puts.
 */
const objects = new Map<string, Buffer>()

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  const answers = new FrameWriter(socket)
  const reader = new FrameReader(({ id, key }) => {
    // The first frame says where the client listens; every other one asks for an object.
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
