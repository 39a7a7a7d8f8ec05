import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { errorTable } from '../../protocol/errors.ts'
import { HELLO_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../protocol/limits.ts'
import { parseTicket } from '../../protocol/model/ticket.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { CallContext } from '../../protocol/wire/call-context.ts'
import { open, Planes } from '../fixture/planes.ts'
import { frameBytes, RawConnection } from '../fixture/raw-connection.ts'
import { putFields } from './support/requests.ts'

async function startOne() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  return { planes, node, ticket, job: await open(ticket), token: parseTicket(ticket).token }
}

const put = (key: string, payload: Uint8Array, context?: CallContext) =>
  frameBytes(
    2,
    dataOperations.put,
    {
      epoch: 1,
      bucket: 0,
      key: Buffer.from(key),
      lane: 0,
      sequence: 1,
      ...putFields,
    },
    payload,
    context,
  )

function header(fields: {
  headBytes?: number
  payloadBytes?: number
  kind?: number
  contextBytes?: number
}): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(fields.headBytes ?? 0, 0)
  bytes.writeUInt32LE(fields.payloadBytes ?? 0, 4)
  bytes.writeUInt32LE(2, 8)
  bytes.writeUInt16LE(fields.kind ?? dataOperations.get.number, 12)
  bytes.writeUInt16LE(fields.contextBytes ?? 0, 14)
  return bytes
}

test.each([
  ['random bytes', () => randomBytes(500)],
  ['a head over the limit', () => header({ headBytes: 2 ** 31 })],
  ['a payload over the limit', () => header({ payloadBytes: PAYLOAD_BYTES_MAX + 1 })],
  ['a context longer than its head', () => header({ contextBytes: 1 })],
  [
    'a context over the limit',
    () => Buffer.concat([header({ headBytes: 300, contextBytes: 300 }), Buffer.alloc(300)]),
  ],
  ['an id of a request that is none', () => put('k', Buffer.from('x'), { request: 'a b', traceparent: '' })],
  [
    'a traceparent that is none, before a payload that lands in the arena',
    () => put('k', randomBytes(500_000), { request: '', traceparent: '00-0-0-00' }),
  ],
  ['an operation that there is not', () => header({ kind: 9999 })],
  ['a head shorter than its fields', () => Buffer.concat([header({ headBytes: 3 }), Buffer.alloc(3)])],
  ['a head longer than its fields', () => Buffer.concat([header({ headBytes: 90 }), Buffer.alloc(90)])],
])('after %s that connection closes and the node lives', async (_, garbage) => {
  const { node, token, job } = await startOne()
  const connection = await RawConnection.open(node.address)
  connection.send(await connection.hello(token))
  connection.send(await garbage())
  await connection.closed
  expect(connection.frames.at(-1)?.kind).toBe(errorTable.PROTOCOL_VIOLATION.wire)
  await job.put('k', 'still here')
  expect((await job.get('k')).toString()).toBe('still here')
})

test('before the hello a peer may not send anything else, nor more than 4 KiB', async () => {
  const { node, token } = await startOne()
  const first = await RawConnection.open(node.address)
  first.send(await put('k', Buffer.from('x')))
  await first.closed
  const second = await RawConnection.open(node.address)
  second.send((await second.hello(Buffer.concat([token, Buffer.alloc(HELLO_BYTES_MAX)]))).subarray(0, 64))
  await second.closed
})

test('a put whose client vanishes half-way leaves nothing visible', async () => {
  const { node, token, job } = await startOne()
  const frame = await put('half', randomBytes(500_000))
  const connection = await RawConnection.open(node.address)
  connection.send(await connection.hello(token))
  connection.send(frame.subarray(0, 300_000))
  await expect.poll(() => connection.frames.length).toBe(1)
  connection.vanish()
  await connection.closed
  expect(await job.exists('half')).toBe(false)
})

test('a request with a context is served as one without', async () => {
  const { node, token, job } = await startOne()
  const connection = await RawConnection.open(node.address)
  const context = { request: 'r-1', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` }
  const bytes = Buffer.concat([await connection.hello(token), await put('k', Buffer.from('x'), context)])
  for (const byte of bytes) connection.send(Buffer.of(byte))
  await expect.poll(() => connection.frames.length).toBe(2)
  expect(connection.frames[1]?.kind).toBe(0)
  expect((await job.get('k')).toString()).toBe('x')
  connection.vanish()
})

test('a frame that arrives byte by byte is understood', async () => {
  const { node, token, job } = await startOne()
  const connection = await RawConnection.open(node.address)
  const bytes = Buffer.concat([await connection.hello(token), await put('slow', Buffer.from('drop by drop'))])
  for (const byte of bytes) {
    connection.send(Buffer.of(byte))
    await new Promise(setImmediate)
  }
  await expect.poll(() => connection.frames.length).toBe(2)
  connection.vanish()
  expect((await job.get('slow')).toString()).toBe('drop by drop')
})

test('a hello of another protocol version is refused with both versions', async () => {
  const { node, token } = await startOne()
  const connection = await RawConnection.open(node.address)
  const frame = await connection.hello(token)
  frame.writeUInt16LE(999, 16)
  connection.send(frame)
  await connection.closed
  expect(connection.frames[0]?.head.toString()).toContain('version 999')
})
