import { expect, test } from 'vitest'
import { REPLIES_FIRST_PORTION } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Link } from '../../protocol/transport/link.ts'
import { Outbox } from '../../protocol/transport/outbox.ts'
import type { Landing } from '../../protocol/wire/frame.ts'
import { FrameReader } from '../../protocol/wire/frame-reader.ts'
import { feed, frameBytes } from '../fixture/raw-connection.ts'

const chunk = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))

function chunkPut(payload: Uint8Array): Promise<Buffer> {
  const head = { epoch: 1, bucket: 0, key: Buffer.from('k'), version: 1, index: 0, checksum: null }
  return frameBytes(3, dataOperations.chunkPut, head, payload)
}

/** A reader whose payloads land in place, with a record of them. */
function landingReader() {
  const log: string[] = []
  const landed: Buffer[] = []
  const reader = new FrameReader({
    onFrame: ({ landing, owned, payload }) => {
      log.push(landing === null ? 'not landed' : `landed, owned: ${owned}`)
      landed.push(Buffer.from(payload))
    },
    land: ({ payloadBytes }): Landing => ({
      bytes: Buffer.alloc(payloadBytes),
      abandon: () => log.push('abandoned'),
    }),
  })
  return { reader, log, landed }
}

test('a payload that comes after its header is received into memory of the receiver’s choice', async () => {
  const { reader, log, landed } = landingReader()
  const frame = await chunkPut(chunk)
  feed(reader, frame.subarray(0, 1000))
  feed(reader, frame.subarray(1000))
  feed(reader, await chunkPut(Buffer.alloc(10, 1)))
  expect(log).toEqual(['landed, owned: true', 'not landed'])
  expect(landed[0]?.equals(chunk)).toBe(true)
})

test('the rest of a large payload is written where it stays, and the end of it with what follows', async () => {
  const { reader } = landingReader()
  const frame = await chunkPut(chunk)
  const shared = reader.space()
  feed(reader, frame.subarray(0, 1000))
  expect(reader.space().length).toBeLessThan(chunk.length)
  feed(reader, frame.subarray(1000, frame.length - 100))
  expect(reader.space().buffer).toBe(shared.buffer)
})

test('memory for a payload of which the rest never comes is given up, once', async () => {
  const { reader, log } = landingReader()
  feed(reader, (await chunkPut(chunk)).subarray(0, 1000))
  reader.close()
  reader.close()
  expect(log).toEqual(['abandoned'])
})

test('whoever lends a payload is told once that it was copied, or that the network has it', () => {
  const taken: (() => void)[] = []
  const sent: string[] = []
  const link = {
    queuedBytes: 0,
    afterInput: setImmediate,
    write: (_: unknown, done: () => void) => void taken.push(done),
  }
  const outbox = new Outbox(link as unknown as Link)
  const send = (payload: Uint8Array, name: string): void => {
    const frame = { id: 1, kind: 0, codec: dataOperations.chunkGet.reply, head: { checksum: null } }
    outbox.send({ ...frame, payload, sent: () => sent.push(name) })
  }
  send(Buffer.alloc(100), 'small')
  send(chunk, 'large')
  expect(sent).toEqual(['small'])
  outbox.flush()
  expect(sent).toEqual(['small'])
  for (const done of taken) done()
  expect(sent).toEqual(['small', 'large'])
})

test('whoever lends a payload of many small parts is told, also where the network is busy', () => {
  const sent: string[] = []
  const link = { queuedBytes: 1, afterInput: setImmediate, write: (_: unknown, done: () => void) => done() }
  const outbox = new Outbox(link as unknown as Link)
  const frame = { id: 1, kind: 0, codec: dataOperations.chunkGet.reply, head: { checksum: null } }
  const payload = [Buffer.alloc(5000), Buffer.alloc(5000)]
  outbox.send({ ...frame, payload, sent: () => sent.push('sent') })
  outbox.flush()
  expect(sent).toEqual(['sent'])
})

test('what was written stays as it is until the network has it', () => {
  const written: Buffer[] = []
  const link = {
    queuedBytes: 0,
    afterInput: setImmediate,
    write: (parts: Buffer[]) => void written.push(...parts),
  }
  const outbox = new Outbox(link as unknown as Link)
  const send = (byte: number): void => {
    const frame = { id: 1, kind: 0, codec: dataOperations.chunkGet.reply, head: { checksum: null } }
    outbox.send({ ...frame, payload: Buffer.alloc(5000, byte) })
    outbox.flush()
  }
  for (let byte = 1; byte <= 100; byte++) send(byte)
  expect(written.map((part) => part.at(-1))).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
})

test('a payload of many parts leaves whole and in order, and one that is transient may change at once', () => {
  const written: Buffer[] = []
  const link = {
    queuedBytes: 0,
    afterInput: setImmediate,
    write: (parts: Buffer[]) => void written.push(...parts),
  }
  const outbox = new Outbox(link as unknown as Link)
  // Small payloads are copied into a slab one after another; the one of 300,000 bytes spans several slabs.
  const sizes = [10, 8192, 8193, 1, 300_000, 0, 5000]
  const partsOf = (): Buffer[] => sizes.map((bytes, index) => Buffer.alloc(bytes, index + 1))
  const whole = Buffer.concat(partsOf())
  for (const transient of [false, true]) {
    const payload = partsOf()
    const frame = { id: 1, kind: 0, codec: dataOperations.chunkGet.reply, head: { checksum: null } }
    outbox.send({ ...frame, payload, transient })
    if (transient) for (const part of payload) part.fill(0)
    outbox.flush()
    const bytes = Buffer.concat(written.splice(0))
    expect(bytes.subarray(-whole.length).equals(whole)).toBe(true)
    expect(bytes.readUInt32LE(4)).toBe(whole.length)
  }
})

test('a server writes replies in portions of 8, 16 and then 32, and begins anew with each turn', () => {
  const writes: number[] = []
  const link = {
    queuedBytes: 0,
    afterInput: setImmediate,
    write: (parts: Buffer[]) => void writes.push(Buffer.concat(parts).length),
  }
  const outbox = new Outbox(link as unknown as Link, REPLIES_FIRST_PORTION)
  const frame = { id: 1, kind: 0, codec: dataOperations.chunkGet.reply, head: { checksum: null } }
  for (const replies of [100, 3]) {
    for (let sent = 0; sent < replies; sent++) outbox.send(frame)
    outbox.flush()
  }
  const one = (writes.at(-1) as number) / 3
  expect(writes.map((bytes) => bytes / one)).toEqual([8, 16, 32, 32, 12, 3])
})
