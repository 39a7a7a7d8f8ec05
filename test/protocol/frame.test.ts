import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { FrameReader } from '../../protocol/wire/frame-reader.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { feed, frameBytes } from '../fixture/raw-connection.ts'

const chunkPut = (key: string, payload: Uint8Array) =>
  frameBytes(
    7,
    dataOperations.chunkPut,
    { epoch: 1, bucket: 2, key: Buffer.from(key), version: 3, index: 4, checksum: null },
    payload,
  )

function readAll(pieces: readonly Buffer[]): { head: string; payload: string }[] {
  const frames: { head: string; payload: string }[] = []
  const reader = new FrameReader({
    onFrame: ({ head, payload }) => {
      frames.push({ head: head.toString('hex'), payload: payload.toString('hex') })
    },
  })
  for (const piece of pieces) feed(reader, piece)
  expect(reader.atBoundary).toBe(true)
  return frames
}

test('frames come out the same however the stream is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 50 }), fc.uint8Array({ maxLength: 300 })), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 50 }),
      async (objects, cuts) => {
        const frames = await Promise.all(objects.map(([key, payload]) => chunkPut(key, payload)))
        const stream = Buffer.concat(frames)
        const pieces: Buffer[] = []
        for (let offset = 0, cut = 0; offset < stream.length; cut++) {
          const end = offset + (cuts[cut % cuts.length] as number)
          pieces.push(stream.subarray(offset, end))
          offset = end
        }
        expect(readAll(pieces)).toEqual(readAll(frames))
      },
    ),
  )
})

test('a frame that came in one piece is not owned, one that came in several is', async () => {
  const frame = await chunkPut('key', Buffer.alloc(1000, 1))
  const owned: boolean[] = []
  const reader = new FrameReader({ onFrame: (read) => owned.push(read.owned) })
  feed(reader, frame)
  feed(reader, frame.subarray(0, 500))
  feed(reader, frame.subarray(500))
  expect(owned).toEqual([false, true])
})

test('a reader that is paused hands over nothing, and all that came meanwhile, in its order, when it goes on', async () => {
  const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)
  const stream = Buffer.concat(await Promise.all(keys.map((key) => chunkPut(key, Buffer.alloc(100)))))
  const read: string[] = []
  const reader = new FrameReader({
    onFrame: ({ head }) => {
      read.push(dataOperations.chunkPut.request.read(new Reader(Buffer.from(head))).key.toString())
      if (read.length % 3 === 0) reader.pause()
    },
  })
  for (let offset = 0; offset < stream.length; offset += 250)
    feed(reader, stream.subarray(offset, offset + 250))
  expect(read).toEqual(keys.slice(0, 3))
  for (let times = 1; times <= 6; times++) {
    reader.resume()
    expect(read).toEqual(keys.slice(0, 3 + 3 * times))
  }
  expect(reader.atBoundary).toBe(true)
})

test('a reader that is paused within a payload, and has said where the next bytes go, keeps their order', async () => {
  const payload = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
  const frame = await chunkPut('key', payload)
  const payloads: Buffer[] = []
  const reader = new FrameReader({ onFrame: (read) => payloads.push(Buffer.from(read.payload)) })
  // The network requests space for the next read once the last one is processed.
  let space = reader.space()
  const receive = (piece: Buffer): void => {
    for (let offset = 0; offset < piece.length; ) {
      const copied = piece.copy(space, 0, offset)
      reader.filled(copied)
      offset += copied
      space = reader.space()
    }
  }
  reader.pause()
  receive(frame.subarray(0, 1_000))
  reader.resume()
  reader.pause()
  receive(frame.subarray(1_000, 2_000))
  reader.resume()
  receive(frame.subarray(2_000))
  expect(payloads.map((read) => read.equals(payload))).toEqual([true])
})
