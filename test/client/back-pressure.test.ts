import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { MayflyError } from '../../protocol/errors.ts'
import { CALLS_QUEUED_BYTES_MAX, CHUNK_BYTES, NONCE_BYTES, PROTOCOL_VERSION } from '../../protocol/limits.ts'
import { challenge, hello } from '../../protocol/operations/control-operations.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { wasInVain } from '../../protocol/transport/call.ts'
import { Caller } from '../../protocol/transport/caller.ts'
import { welcomeProof } from '../../protocol/transport/proof.ts'
import { SessionTrail } from '../../protocol/transport/session-trail.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { FrameReader } from '../../protocol/wire/frame-reader.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'
import { feed, frameBytes } from '../fixture/raw-connection.ts'

const { chunkPut } = dataOperations

/** The answer of a server that knows the client's MAC, which is empty. */
function welcomeTo({ proof }: { proof: Uint8Array }) {
  const fields = { server: 'n-1', session: Buffer.alloc(NONCE_BYTES, 7) }
  return { ...fields, proof: welcomeProof(Buffer.alloc(0), proof, fields) }
}

/** A server that reads nothing until it is told to, and records the order of the chunks. */
async function stalledServer() {
  const chunks: number[] = []
  const accepted: Socket[] = []
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(socket)
    const nonce = Buffer.alloc(NONCE_BYTES, 7)
    void frameBytes(0, challenge, { protocol: PROTOCOL_VERSION, nonce }).then((bytes) => socket.write(bytes))
    const answer = async (id: number, operation: { number: number; reply: unknown }, head: unknown) => {
      socket.write(
        await frameBytes(id, { number: 0, request: operation.reply, reply: operation.reply } as never, head),
      )
    }
    const reader = new FrameReader({
      onFrame: ({ id, kind, head }) => {
        if (kind === hello.number)
          void answer(id, hello, welcomeTo(hello.request.read(new Reader(Buffer.from(head)))))
        if (kind !== chunkPut.number) return
        chunks.push(chunkPut.request.read(new Reader(Buffer.from(head))).index)
        void answer(id, chunkPut, {})
      },
    })
    socket.on('data', (piece) => feed(reader, piece))
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of accepted) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return { address: `127.0.0.1:${port}`, chunks, read: () => accepted.map((socket) => socket.resume()) }
}

/** A client's connection, and the results of its calls. */
async function connectTo(address: string, { clock } = systemRuntime) {
  const link = await dialTcp(address)
  const caller = new Caller(link, {
    runtime: { ...systemRuntime, clock },
    token: Buffer.alloc(0),
    trail: new SessionTrail(),
    deadlineMs: clock.monotonicMs() + 20_000,
  })
  onTestFinished(() => caller.close())
  const payload = Buffer.alloc(CHUNK_BYTES)
  const put = (index: number, { ms = 20_000, signal }: { ms?: number; signal?: AbortSignal } = {}) => {
    const head = { epoch: 1, bucket: 0, key: Buffer.from('k'), version: 1, index, checksum: null }
    return caller
      .call(chunkPut, head, { payload, deadlineMs: clock.monotonicMs() + ms, signal })
      .then(() => 'ok')
      .catch((error: MayflyError) => (wasInVain(error) ? `${error.code}, never sent` : error.code))
  }
  return { link, caller, put }
}

const FRAME_BYTES_MAX = CHUNK_BYTES + 100

test('of what a server does not take a bounded part is queued; the other calls wait and are sent in their order', async () => {
  const server = await stalledServer()
  const { link, put } = await connectTo(server.address)
  const early = Array.from({ length: 100 }, (_, index) => put(index))
  await sleep(100)
  const late = Array.from({ length: 100 }, (_, index) => put(100 + index))
  await sleep(100)
  expect(link.queuedBytes).toBeGreaterThan(0)
  expect(link.queuedBytes).toBeLessThanOrEqual(CALLS_QUEUED_BYTES_MAX + FRAME_BYTES_MAX)
  server.read()
  expect(new Set(await Promise.all([...early, ...late]))).toEqual(new Set(['ok']))
  expect(server.chunks).toEqual(Array.from({ length: 200 }, (_, index) => index))
})

test('a call that waits to be sent ends with its deadline or its signal, and is never sent', async () => {
  const server = await stalledServer()
  const { put } = await connectTo(server.address)
  const sent = Array.from({ length: 64 }, (_, index) => put(index))
  const abort = new AbortController()
  const late = Array.from({ length: 64 }, (_, index) => put(1000 + index, { ms: 100 }))
  const aborted = put(2000, { signal: abort.signal })
  expect(new Set(await Promise.all(late))).toEqual(new Set(['DEADLINE_EXCEEDED, never sent']))
  abort.abort()
  expect(await aborted).toBe('ABORTED')
  const last = put(3000)
  server.read()
  expect(new Set(await Promise.all([...sent, last]))).toEqual(new Set(['ok']))
  expect(server.chunks).toEqual([...Array.from({ length: 64 }, (_, index) => index), 3000])
})

test('after a suspension a call that waits to be sent and whose deadline has passed is never sent', async () => {
  const server = await stalledServer()
  const clock = new VirtualClock()
  const { put } = await connectTo(server.address, { ...systemRuntime, clock })
  const sent = Array.from({ length: 64 }, (_, index) => put(index))
  const late = put(1000, { ms: 100 })
  const last = put(3000)
  await sleep(100)
  // The queue drains before any timer of this process has run again.
  clock.jump(200)
  server.read()
  expect(await late).toBe('DEADLINE_EXCEEDED, never sent')
  expect(new Set(await Promise.all([...sent, last]))).toEqual(new Set(['ok']))
  expect(server.chunks).toEqual([...Array.from({ length: 64 }, (_, index) => index), 3000])
})

test('calls that wait to be sent fail with their connection', async () => {
  const server = await stalledServer()
  const { caller, put } = await connectTo(server.address)
  const calls = Array.from({ length: 64 }, (_, index) => put(index))
  caller.close(new MayflyError('CONNECTION_LOST', 'The test broke it'))
  expect(new Set(await Promise.all(calls))).toEqual(new Set(['CONNECTION_LOST']))
})
