import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import type { RetryEvent } from '../../client/options.ts'
import { startLosing } from '../fixture/losing-proxy.ts'
import { open, Planes } from '../fixture/planes.ts'

async function openOne() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  return { planes, node, ticket, job: await open(ticket) }
}

test('without a ticket the job of MAYFLY_TICKET is opened; without that the error names both', async () => {
  const { ticket } = await openOne()
  await expect(openJob()).rejects.toThrow('No ticket is given, and MAYFLY_TICKET is not set')
  process.env.MAYFLY_TICKET = ticket
  onTestFinished(() => void delete process.env.MAYFLY_TICKET)
  const job = await openJob()
  expect(job.id).toBe('j-1')
  await job.put('k', 'x')
  await job.close()
})

test('await using closes the job at the end of the block', async () => {
  const { ticket } = await openOne()
  let outside: Awaited<ReturnType<typeof openJob>>
  {
    await using job = await openJob(ticket)
    await job.put('k', 'x')
    outside = job
  }
  await expect(outside.get('k')).rejects.toMatchObject({ code: 'CLOSED' })
})

test('JSON goes there and back, and what JSON does not have is refused by name', async () => {
  const { job } = await openOne()
  const value = { list: [1, 'zwei', null], nested: { yes: true } }
  const { version } = await job.putJson('k', value, { metadata: { type: 'json' } })
  expect(await job.stat('k')).toMatchObject({ version, metadata: { type: 'json' } })
  expect(await job.getJson('k')).toEqual(value)
  expect(await job.getJson<typeof value>('k', { consume: true })).toEqual(value)
  expect(await job.exists('k')).toBe(false)
  await expect(job.putJson('k', undefined)).rejects.toThrow('value: JSON has no undefined')
  await expect(job.putJson('k', 1n)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await job.put('text', 'not {json')
  await expect(job.getJson('text')).rejects.toThrow("key: the object 'text' is no JSON")
})

test('every kind of bytes is stored as the bytes that it shows', async () => {
  const { job } = await openOne()
  const bytes = randomBytes(64)
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 64)
  const foreign = runInNewContext('new Uint8Array([1, 2, 3])')
  for (const [given, expected] of [
    [buffer, bytes],
    [new DataView(buffer, 8, 16), bytes.subarray(8, 24)],
    [new Float64Array(buffer, 8, 2), bytes.subarray(8, 24)],
    [foreign, Buffer.from([1, 2, 3])],
    [foreign.buffer, Buffer.from([1, 2, 3])],
  ] as const) {
    await job.put('k', given)
    expect(await job.get('k')).toEqual(Buffer.from(expected))
    await job.putMany([{ key: 'k', bytes: given }])
    expect(await job.get('k')).toEqual(Buffer.from(expected))
  }
  async function* pieces() {
    yield new DataView(buffer, 0, 8)
    yield buffer
  }
  await job.putStream('k', pieces())
  expect(await job.get('k')).toEqual(Buffer.concat([bytes.subarray(0, 8), bytes]))
})

test('what has no bytes is refused, and the error says what to call instead', async () => {
  const { job } = await openOne()
  const refused = async (bytes: unknown) => await job.put('k', bytes as string).catch((error) => error.reason)
  expect(await refused(new Blob(['x']))).toBe(
    'bytes: it is a Blob; put its arrayBuffer(), or its stream() with putStream',
  )
  expect(await refused(new SharedArrayBuffer(8))).toContain('a SharedArrayBuffer')
  expect(await refused(new Blob(['x']).stream())).toBe('bytes: it is a stream; use putStream')
  expect(await refused({ a: 1 })).toContain(
    'an object, not a string, an ArrayBuffer or a view of one; putJson',
  )
  expect(await refused([1, 2])).toContain('an array, not')
  expect(await refused(7)).toContain('it is number, not')
  expect(await refused(null)).toContain('it is null, not')
  await expect(job.putStream('k', new Blob(['x']) as never)).rejects.toThrow('a Blob; use its stream()')
})

test('a value comes with its version and metadata, of any size, with a range and after a wait', async () => {
  const { job } = await openOne()
  for (const bytes of [0, 100, 3 * 1024 * 1024]) {
    const object = randomBytes(bytes)
    const { version } = await job.put('k', object, { metadata: { n: `${bytes}` }, ttlSeconds: 600 })
    const got = await job.getWithMetadata('k')
    expect(got.value.equals(object)).toBe(true)
    expect(got).toMatchObject({ key: 'k', bytes, version, metadata: { n: `${bytes}` }, tier: 'ram' })
    expect(got.expiresAt).toEqual((await job.stat('k'))?.expiresAt)
  }
  const part = await job.getWithMetadata('k', { range: { start: 5, end: 9 } })
  expect([part.value.length, part.bytes]).toEqual([4, 3 * 1024 * 1024])
  const waiting = job.getWithMetadata('later', { waitSeconds: 60 })
  await job.put('later', 'x', { metadata: { a: 'b' } })
  expect(await waiting).toMatchObject({ value: Buffer.from('x'), metadata: { a: 'b' } })
  await expect(job.getWithMetadata('none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('value and metadata are of one version while others put', async () => {
  const { job } = await openOne()
  const large = 'x'.repeat(1024 * 1024)
  await job.put('k', '0', { metadata: { n: '0' } })
  let putting = true
  const puts = (async () => {
    for (let n = 1; putting; n++) {
      await job.put('k', n % 5 === 0 ? `${n} ${large}` : `${n}`, { metadata: { n: `${n}` } })
    }
  })()
  for (let round = 0; round < 100; round++) {
    const { value, metadata } = await job.getWithMetadata('k')
    expect(value.toString('latin1', 0, 20).split(' ')[0]).toBe(metadata.n)
  }
  putting = false
  await puts
})

test('an error about an object names its key, also on a first connection', async () => {
  const { job, ticket } = await openOne()
  const named = (code: string) => ({ code, message: expect.stringContaining("(key 'map/1')") })
  await expect(job.get('map/1')).rejects.toMatchObject(named('NOT_FOUND'))
  await expect((await open(ticket)).get('map/1')).rejects.toMatchObject(named('NOT_FOUND'))
  await job.put('map/1', 'x')
  await expect(job.put('map/1', 'x', { ifAbsent: true })).rejects.toMatchObject(named('KEY_EXISTS'))
  await expect(job.put('map/1', 'x', { ifVersion: 3 })).rejects.toMatchObject(named('VERSION_MISMATCH'))
})

test('onRetry is told of a failed attempt that is repeated, and of no other', async () => {
  const { planes, node } = await openOne()
  const proxy = await startLosing(node.address)
  const told: RetryEvent[] = []
  const ticket = await planes.createJob('j-2', [{ ...node, address: proxy.address }])
  const job = await open(ticket, { onRetry: (retry) => void told.push(retry) })
  await job.put('k', 'x')
  await job.get('none').catch(() => undefined)
  expect(told).toEqual([])
  proxy.loseAnswer()
  expect(String(await job.get('k'))).toBe('x')
  expect(told[0]).toMatchObject({ attempt: 1, address: proxy.address, key: 'k' })
  expect(told[0]?.error.code).toBe('CONNECTION_LOST')
  told.splice(0)
  proxy.loseAnswer()
  await job.put('k', 'y')
  expect(told[0]).toMatchObject({ attempt: 1, address: proxy.address, key: 'k' })
})

test('printing a job shows no ticket', async () => {
  const { ticket, job } = await openOne()
  expect(inspect(job, { depth: 10, showHidden: true })).not.toContain(ticket)
  expect(inspect(job)).toBe("Job { id: 'j-1' }")
})
