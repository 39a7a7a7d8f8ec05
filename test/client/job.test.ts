import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { open, Planes } from '../fixture/planes.ts'

async function openOne(options = {}) {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()]
  const job = await open(await planes.createJob('j-1', nodes, options))
  return { planes, nodes, job }
}

test('an object that was put is got back byte for byte, by another client of the job', async () => {
  const { planes, nodes, job } = await openOne()
  for (const bytes of [0, 1, 100, 8192, 8193, 65_536, 1024 * 1024]) {
    const object = randomBytes(bytes)
    await job.put(`size/${bytes}`, object)
    expect((await job.get(`size/${bytes}`)).equals(object)).toBe(true)
  }
  const other = await open(await planes.createJob('j-1', nodes))
  expect((await other.get('size/100')).length).toBe(100)
})

test('an object larger than one chunk is put and got whole', async () => {
  const { job } = await openOne()
  for (const bytes of [1024 * 1024 + 1, 5 * 1024 * 1024 + 17]) {
    const object = randomBytes(bytes)
    await job.put('large', object, { metadata: { kind: 'frame' } })
    expect((await job.get('large')).equals(object)).toBe(true)
    expect(await job.stat('large')).toMatchObject({ bytes, tier: 'ram', metadata: { kind: 'frame' } })
  }
})

test('keys may hold any Unicode but NUL, and are not paths', async () => {
  const { job } = await openOne()
  const keys = [
    '../x',
    'a//b',
    '/',
    '.',
    ' ',
    'ключ',
    '🪰',
    'é',
    'e\u0301',
    '\u0001',
    'x'.repeat(1024),
    '\uffff',
  ]
  for (const [index, key] of keys.entries()) await job.put(key, `${index}`)
  for (const [index, key] of keys.entries()) expect((await job.get(key)).toString()).toBe(`${index}`)
})

test.each([
  ['', 'is empty'],
  ['a\0b', 'NUL'],
  ['x'.repeat(1025), '1025 bytes'],
  ['é'.repeat(513), '1026 bytes'],
  ['\ud800', 'surrogate'],
])('the key %j is refused', async (key, why) => {
  const { job } = await openOne()
  await expect(job.put(key, 'x')).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining(why),
  })
  await expect(job.get(key)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
})

test('an option that a call does not know is refused by name', async () => {
  const { job } = await openOne()
  const options = { ttl: 3 } as object
  await expect(job.put('k', 'x', options)).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('ttl'),
  })
  await expect(job.put('k', 'x', { ttlSeconds: -1 })).rejects.toThrow('ttlSeconds')
  await expect(job.get('k', { deadlineMs: 0 })).rejects.toThrow('deadlineMs')
})

test('get of a key that is not there is NOT_FOUND, stat is null, exists and delete are false', async () => {
  const { job } = await openOne()
  await expect(job.get('none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await job.stat('none')).toBeNull()
  expect(await job.exists('none')).toBe(false)
  expect(await job.delete('none')).toBe(false)
})

test('a second put overwrites and gives a new version; ifAbsent does not', async () => {
  const { job } = await openOne()
  const first = await job.put('k', 'one', { ifAbsent: true })
  await expect(job.put('k', 'two', { ifAbsent: true })).rejects.toMatchObject({ code: 'KEY_EXISTS' })
  const second = await job.put('k', 'three')
  expect(second.version).not.toBe(first.version)
  expect((await job.get('k')).toString()).toBe('three')
  expect(await job.stat('k')).toMatchObject({ version: second.version, bytes: 5, expiresAt: null })
  await expect(job.put('k', randomBytes(2 ** 21), { ifAbsent: true })).rejects.toMatchObject({
    code: 'KEY_EXISTS',
  })
})

test('of many consumers exactly one gets an object, small or large', async () => {
  const { job } = await openOne()
  for (const bytes of [10, 2 * 1024 * 1024]) {
    await job.put('once', randomBytes(bytes))
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => job.get('once', { consume: true })),
    )
    const got = results.filter((result) => result.status === 'fulfilled')
    expect(got).toHaveLength(1)
    expect(got[0]?.value.length).toBe(bytes)
    expect(await job.exists('once')).toBe(false)
  }
})

test('an object with a time to live vanishes when it is over', async () => {
  const { job } = await openOne()
  await job.put('brief', 'x', { ttlSeconds: 1 })
  expect((await job.stat('brief'))?.expiresAt).toBeInstanceOf(Date)
  await expect.poll(() => job.exists('brief')).toBe(false)
  await expect(job.get('brief')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('list gives the keys of a bucket in byte order, by prefix, over many pages', async () => {
  const { job } = await openOne()
  const keys = Array.from({ length: 2500 }, (_, i) => `page/${i}`)
  await Promise.all(['a', 'é', '🪰', '\uffff', ...keys].map((key) => job.put(key, key)))
  const listed = []
  for await (const { key, bytes } of job.list()) {
    expect(bytes).toBe(Buffer.byteLength(key))
    listed.push(key)
  }
  const sorted = [...listed].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  expect(listed).toEqual(sorted)
  expect(listed).toHaveLength(2504)
  expect(new Set(listed).size).toBe(2504)
  const prefixed = []
  for await (const { key } of job.list({ prefix: 'page/24' })) prefixed.push(key)
  expect(prefixed.sort()).toEqual(keys.filter((key) => key.startsWith('page/24')).sort())
})

test('buckets keep equal keys apart and take their objects with them', async () => {
  const { job } = await openOne()
  await job.createBucket('frames')
  await expect(job.createBucket('frames')).rejects.toMatchObject({ code: 'BUCKET_EXISTS' })
  await expect(job.createBucket('no/slash')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await job.put('k', 'default')
  await job.put('k', 'frames', { bucket: 'frames' })
  await job.put('large', randomBytes(2 ** 21), { bucket: 'frames' })
  expect((await job.get('k')).toString()).toBe('default')
  expect((await job.get('k', { bucket: 'frames' })).toString()).toBe('frames')
  expect(await job.buckets()).toEqual(['default', 'frames'])
  await job.deleteBucket('frames')
  await expect(job.get('k', { bucket: 'frames' })).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' })
  await expect(job.deleteBucket('default')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await job.createBucket('frames')
  expect(await job.exists('k', { bucket: 'frames' })).toBe(false)
})

test('who used a bucket before another one took its name lists the new one', async () => {
  const { planes, nodes, job } = await openOne()
  const other = await open(await planes.createJob('j-1', nodes))
  await other.createBucket('frames')
  await job.put('old', 'x', { bucket: 'frames' })
  await other.deleteBucket('frames')
  await other.createBucket('frames')
  await other.put('k', 'new', { bucket: 'frames' })
  const listed = []
  for await (const { key } of job.list({ bucket: 'frames' })) listed.push(key)
  expect(listed).toEqual(['k'])
})

test('who waits for a key of a bucket hears that it was deleted', async () => {
  const { job } = await openOne()
  await job.createBucket('frames')
  const waiting = job.get('k', { bucket: 'frames', waitSeconds: 60 })
  const failure = expect(waiting).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' })
  await job.exists('k', { bucket: 'frames' })
  await job.deleteBucket('frames')
  await failure
})

test('a bucket made by another client is found by name', async () => {
  const { planes, nodes, job } = await openOne()
  const other = await open(await planes.createJob('j-1', nodes))
  await expect(other.put('k', 'x', { bucket: 'later' })).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' })
  await job.createBucket('later')
  await other.put('k', 'x', { bucket: 'later' })
  await job.deleteBucket('later')
  await job.createBucket('later')
  await other.put('k', 'y', { bucket: 'later' })
  expect((await job.get('k', { bucket: 'later' })).toString()).toBe('y')
})

test('I13: a put over the budget fails with CAPACITY_EXCEEDED and stores nothing; what was there stays', async () => {
  const { job } = await openOne({ capacityBytes: 3 * 1024 * 1024 })
  await job.put('k', 'before')
  await expect(job.put('k', randomBytes(8 * 1024 * 1024))).rejects.toMatchObject({
    code: 'CAPACITY_EXCEEDED',
  })
  expect((await job.get('k')).toString()).toBe('before')
  let stored = 0
  await expect(async () => {
    for (; stored < 1000; stored++) await job.put(`fill/${stored}`, randomBytes(65_536))
  }).rejects.toMatchObject({ code: 'CAPACITY_EXCEEDED' })
  expect(await job.exists(`fill/${stored}`)).toBe(false)
  expect(stored).toBeGreaterThan(15)
})

test('a call that was aborted fails with ABORTED', async () => {
  const { job } = await openOne()
  await expect(job.get('k', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
})

test('a closed job answers CLOSED', async () => {
  const { job } = await openOne()
  await job.put('k', 'x')
  await job.close()
  await expect(job.get('k')).rejects.toMatchObject({ code: 'CLOSED' })
})
