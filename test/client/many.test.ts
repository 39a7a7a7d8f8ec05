import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { MayflyError, PutManyError } from '../../client/index.ts'
import { MANY_VALUE_BYTES_MAX } from '../../protocol/limits.ts'
import { open, Planes } from '../fixture/planes.ts'

async function openOne(options = {}) {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()]
  const ticket = await planes.createJob('j-1', nodes, options)
  return { planes, ticket, job: await open(ticket) }
}

const sizes = [0, 1, 1024, MANY_VALUE_BYTES_MAX, MANY_VALUE_BYTES_MAX + 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20]

test('what putMany stored, getMany gives back in the order of its keys, whatever the sizes', async () => {
  const { job } = await openOne()
  const entries = sizes.map((bytes) => ({ key: `size/${bytes}`, bytes: randomBytes(bytes) }))
  const versions = await job.putMany(entries)
  const keys = entries.map(({ key }) => key).reverse()
  const values = await job.getMany(['none', ...keys])
  expect(values[0]).toBeNull()
  for (const [index, { bytes }] of entries.entries()) {
    expect(values[entries.length - index]?.equals(bytes)).toBe(true)
  }
  for (const [index, { key }] of entries.entries()) {
    expect((await job.stat(key))?.version).toBe(versions[index]?.version)
  }
})

test('a thousand values of 1 KiB, and ten thousand of 10 bytes, come back each under its own key', async () => {
  const { job } = await openOne()
  for (const [count, bytes] of [
    [1_000, 1024],
    [10_000, 10],
  ] as const) {
    const entries = Array.from({ length: count }, (_, i) => ({
      key: `${bytes}/${i}`,
      bytes: randomBytes(bytes),
    }))
    await job.putMany(entries)
    const values = await job.getMany(entries.map(({ key }) => key))
    expect(entries.every(({ bytes }, index) => values[index]?.equals(bytes))).toBe(true)
  }
})

test('entries of a putMany take no more memory than puts of their own, whatever the first one is', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const job = await open(await planes.createJob('j-1', [node]))
  for (const bytes of [0, 100, 9_000, MANY_VALUE_BYTES_MAX]) {
    const entries = Array.from({ length: 15 }, (_, i) => ({
      key: `k${i}`,
      bytes: randomBytes(i === 0 ? bytes : MANY_VALUE_BYTES_MAX),
    }))
    await job.putMany(entries)
    const takenBytes = node.node.jobs.get('j-1')?.memory.takenBytes
    const values = await job.getMany(entries.map(({ key }) => key))
    expect(entries.every(({ bytes }, index) => values[index]?.equals(bytes))).toBe(true)
    for (const { key, bytes } of entries) await job.put(key, bytes)
    // A page of records is allocated as well.
    const aloneBytes = node.node.jobs.get('j-1')?.memory.takenBytes ?? 0
    expect(Math.abs((takenBytes ?? 0) - aloneBytes)).toBeLessThan(MANY_VALUE_BYTES_MAX + 1)
  }
})

test('getMany and putMany of nothing do nothing', async () => {
  const { job } = await openOne()
  expect(await job.getMany([])).toEqual([])
  expect(await job.putMany([])).toEqual([])
})

test('keys and metadata of the largest size share messages without overflowing them', async () => {
  const { job } = await openOne()
  const entries = Array.from({ length: 1_200 }, (_, i) => ({
    key: `${i}`.padEnd(1024, 'x'),
    bytes: 'v',
    ...(i % 7 === 0 ? { metadata: { name: 'm'.repeat(8_000) } } : {}),
  }))
  await job.putMany(entries)
  expect((await job.getMany(entries.map(({ key }) => key))).every((value) => value?.toString() === 'v')).toBe(
    true,
  )
  expect((await job.stat(entries[0]?.key ?? ''))?.metadata).toEqual({ name: 'm'.repeat(8_000) })
})

test('each entry of a putMany has its own condition, time to live and metadata', async () => {
  const { job } = await openOne()
  const { version } = await job.put('at', 'one')
  await job.putMany([
    { key: 'at', bytes: 'two', ifVersion: version },
    { key: 'brief', bytes: 'x', ttlSeconds: 60 },
    { key: 'named', bytes: 'y', metadata: { a: 'b' }, ifAbsent: true },
  ])
  expect((await job.get('at')).toString()).toBe('two')
  expect((await job.stat('brief'))?.expiresAt).toBeInstanceOf(Date)
  expect((await job.stat('named'))?.metadata).toEqual({ a: 'b' })
})

test('a putMany of which some entries fail stores the others and says which failed and why', async () => {
  const { job } = await openOne()
  await job.put('there', 'before')
  const failure = await job
    .putMany([
      { key: 'first', bytes: 'x' },
      { key: 'there', bytes: 'after', ifAbsent: true },
      { key: 'none', bytes: 'x', ifVersion: 7 },
    ])
    .catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(PutManyError)
  const { code, outcomes, message } = failure as PutManyError
  expect(code).toBe('KEY_EXISTS')
  expect(message).toContain('2 of 3 entries')
  expect(outcomes[0]).toEqual({ version: (await job.stat('first'))?.version })
  expect(outcomes.slice(1).map((outcome) => outcome instanceof MayflyError && outcome.code)).toEqual([
    'KEY_EXISTS',
    'VERSION_MISMATCH',
  ])
  expect((await job.get('there')).toString()).toBe('before')
})

test('a putMany over the budget fails for the entries that did not fit, and for them alone', async () => {
  const { job } = await openOne({ capacityBytes: 2 ** 20 })
  const entries = Array.from({ length: 100 }, (_, i) => ({ key: `k/${i}`, bytes: randomBytes(30_000) }))
  const failure = (await job.putMany(entries).catch((error: unknown) => error)) as PutManyError
  expect(failure.code).toBe('CAPACITY_EXCEEDED')
  const values = await job.getMany(entries.map(({ key }) => key))
  expect(values.map((value) => value !== null)).toEqual(
    failure.outcomes.map((outcome) => !(outcome instanceof MayflyError)),
  )
})

test('an entry with an option that there is not, or without bytes, is refused before anything is sent', async () => {
  const { job } = await openOne()
  const bad = [
    { key: 'k', bytes: 'x', ttl: 3 },
    { key: 'k', bytes: 5 as unknown as string },
    { key: '', bytes: 'x' },
  ]
  for (const entry of bad) {
    await expect(job.putMany([{ key: 'first', bytes: 'x' }, entry])).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    })
  }
  expect(await job.exists('first')).toBe(false)
})

test('a getMany that waits resolves with the last of its keys, in other buckets too', async () => {
  const { job, ticket } = await openOne()
  const producer = await open(ticket)
  await job.createBucket('parts')
  const keys = Array.from({ length: 50 }, (_, i) => `part/${i}`)
  await job.put(keys[7] ?? '', 'seven', { bucket: 'parts' })
  const reading = job.getMany(keys, { waitSeconds: 20, bucket: 'parts' })
  for (const key of keys.filter((_, i) => i !== 7)) await producer.put(key, key, { bucket: 'parts' })
  expect((await reading).map(String)).toEqual(keys.map((key, i) => (i === 7 ? 'seven' : key)))
})

test('a getMany whose time is over gives what is there, and null for the rest', async () => {
  const { job } = await openOne()
  await job.put('there', 'x')
  const startedMs = performance.now()
  expect((await job.getMany(['there', 'none'], { waitSeconds: 0.2 })).map(String)).toEqual(['x', 'null'])
  expect(performance.now() - startedMs).toBeGreaterThan(190)
})
