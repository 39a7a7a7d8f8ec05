import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Job } from '../../client/job.ts'
import { CHUNKS_IN_FLIGHT, STREAM_WINDOW_CHUNKS } from '../../protocol/limits.ts'
import { open, Planes } from '../fixture/planes.ts'

const MIB = 2 ** 20

async function openOne(options = {}) {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()]
  const ticket = await planes.createJob('j-1', nodes, { capacityBytes: 100 * MIB, ...options })
  const usedBytes = () => nodes.reduce((sum, { node }) => sum + node.ram.usedBytes, 0)
  return { planes, ticket, job: await open(ticket), usedBytes }
}

/** Cuts the object into pieces of these lengths, cyclically. */
function* cut(object: Buffer, pieceBytes: number): Generator<Buffer> {
  for (let at = 0; at < object.length; at += pieceBytes) yield object.subarray(at, at + pieceBytes)
}

test.each([0, 1, 1000, MIB - 1, MIB, MIB + 1, 5 * MIB + 17])(
  'a stream of %i bytes of unknown length is put and got whole, whatever its pieces',
  async (bytes) => {
    const { job } = await openOne()
    const object = randomBytes(bytes)
    for (const pieceBytes of [1 + Math.floor(bytes / 700), 65_536, 3 * MIB]) {
      const { version } = await job.putStream('k', Readable.from(cut(object, pieceBytes)), {
        metadata: { a: 'b' },
      })
      expect(await job.stat('k')).toMatchObject({ bytes, version, metadata: { a: 'b' } })
      expect((await job.get('k')).equals(object)).toBe(true)
      expect((await buffer(job.getStream('k'))).equals(object)).toBe(true)
    }
  },
)

test('web streams, generators and streams of text are sources too', async () => {
  const { job } = await openOne()
  await job.putStream('web', new Blob(['from the web']).stream())
  await job.putStream('text', Readable.from(['some ', 'text']))
  await job.putStream(
    'generator',
    (async function* () {
      yield 'a'
      yield Buffer.from('b')
    })(),
  )
  expect((await job.getMany(['web', 'text', 'generator'])).map(String)).toEqual([
    'from the web',
    'some text',
    'ab',
  ])
  await expect(job.putStream('k', [Buffer.of(1)] as unknown as Readable)).rejects.toThrow('no stream')
  await expect(job.putStream('k', Readable.from([{ a: 1 }]))).rejects.toThrow(
    'readable: it gave an object, not a string',
  )
})

test.each([1, 2 * MIB])(
  'a piece of text after %i characters that UTF-8 cannot carry is refused, and nothing is stored',
  async (length) => {
    const { job } = await openOne()
    const source = Readable.from(['x'.repeat(length), 'half \ud83d', 'more'])
    await expect(job.putStream('text', source)).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining('readable: the string has half of a surrogate pair'),
    })
    expect(source.destroyed).toBe(true)
    expect(await job.exists('text')).toBe(false)
  },
)

test.each([1000, 3 * MIB])('conditions and buckets hold for streams of %i bytes', async (bytes) => {
  const { job } = await openOne()
  await job.createBucket('frames')
  const stream = () => Readable.from(cut(randomBytes(bytes), 65_536))
  await job.putStream('k', stream(), { bucket: 'frames', ifAbsent: true })
  await expect(job.putStream('k', stream(), { bucket: 'frames', ifAbsent: true })).rejects.toMatchObject({
    code: 'KEY_EXISTS',
  })
  expect(await job.exists('k')).toBe(false)
  expect((await buffer(job.getStream('k', { bucket: 'frames' }))).length).toBe(bytes)
  await expect(job.putStream('k', stream(), { bucket: 'none' })).rejects.toMatchObject({
    code: 'BUCKET_NOT_FOUND',
  })
})

test.each([1000, 3 * MIB])(
  'a source that fails after %i bytes fails the put with its error, and leaves nothing',
  async (bytes) => {
    const { job, usedBytes } = await openOne()
    const source = Readable.from(
      (function* () {
        yield* cut(randomBytes(bytes), 65_536)
        throw new Error('the disk broke')
      })(),
    )
    await expect(job.putStream('k', source)).rejects.toThrow('the disk broke')
    expect(await job.exists('k')).toBe(false)
    await expect.poll(usedBytes).toBe(0)
  },
)

test('a put that is aborted while its source is silent ends at once, destroys the source and leaves nothing', async () => {
  const { job, usedBytes } = await openOne()
  const source = new PassThrough()
  source.write(randomBytes(3 * MIB + 5))
  const controller = new AbortController()
  const putting = job.putStream('k', source, { signal: controller.signal })
  await expect.poll(usedBytes).toBeGreaterThan(2 * MIB)
  controller.abort()
  await expect(putting).rejects.toMatchObject({ code: 'ABORTED' })
  expect(source.destroyed).toBe(true)
  expect(await job.exists('k')).toBe(false)
  await expect.poll(usedBytes).toBe(0)
})

test('a put whose chunks do not fit fails although its source would go on for ever', async () => {
  const { job } = await openOne({ capacityBytes: 4 * MIB })
  let given = 0
  const endless = async function* () {
    for (;;) {
      given++
      yield randomBytes(MIB)
    }
  }
  await expect(job.putStream('k', endless())).rejects.toMatchObject({ code: 'CAPACITY_EXCEEDED' })
  expect(given).toBeLessThan(5 + 2 * CHUNKS_IN_FLIGHT)
})

/** A job that counts its outstanding chunk requests. */
async function putChunked(job: Job, chunks: number): Promise<Buffer> {
  const object = randomBytes(chunks * MIB)
  await job.put('k', object)
  return object
}

test('a reader that rests holds a bounded number of chunks, and keeps no other call waiting', async () => {
  const { job } = await openOne()
  const object = await putChunked(job, 60)
  const before = process.memoryUsage().arrayBuffers
  const stream = job.getStream('k')
  const [first] = await Promise.all([
    once(stream, 'readable').then(() => stream.read() as Buffer),
    job.put('other', 'x'),
  ])
  await sleep(300)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan((STREAM_WINDOW_CHUNKS + 6) * MIB)
  expect((await job.get('other')).toString()).toBe('x')
  const rest = await buffer(stream)
  expect(Buffer.concat([first, rest]).equals(object)).toBe(true)
})

test('a stream goes on with the version that it began with while the object is replaced and deleted', async () => {
  const { job, usedBytes } = await openOne()
  const object = await putChunked(job, 20)
  const stream = job.getStream('k')
  await once(stream, 'readable')
  await job.put('k', 'newer')
  await job.delete('k')
  await sleep(5_000)
  expect(usedBytes()).toBeGreaterThan(19 * MIB)
  expect((await buffer(stream)).equals(object)).toBe(true)
})

test('destroy ends a stream and what it has under way; an abort makes it fail', async () => {
  const { job } = await openOne()
  await putChunked(job, 20)
  const destroyed = job.getStream('k')
  await once(destroyed, 'readable')
  destroyed.destroy()
  await once(destroyed, 'close')
  const controller = new AbortController()
  const aborted = job.getStream('k', { signal: controller.signal })
  await once(aborted, 'readable')
  controller.abort()
  await expect(once(aborted, 'close')).rejects.toMatchObject({ code: 'ABORTED' })
  await expect(buffer(job.getStream('k', { signal: AbortSignal.abort() }))).rejects.toMatchObject({
    code: 'ABORTED',
  })
})

test('a stream of a key that is not there fails with NOT_FOUND; with waitSeconds it waits for the put', async () => {
  const { job } = await openOne()
  await expect(buffer(job.getStream('late'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const reading = buffer(job.getStream('late', { waitSeconds: 20 }))
  await sleep(50)
  await job.put('late', 'here')
  expect((await reading).toString()).toBe('here')
})
