import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Job } from '../../../client/job.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { open, Planes } from '../../fixture/planes.ts'

/** A job with `a/1` and `b/1`, and a function that opens it with fewer rights. */
async function start() {
  const planes = await Planes.start()
  const ticket = await planes.createJob('j-1', [await planes.startNode()])
  const { placement } = parseTicket(ticket)
  const full = await open(ticket)
  await full.createBucket('other')
  for (const key of ['a/1', 'b/1']) await full.put(key, key)
  const withRights = (claims: { read?: boolean; write?: boolean; prefix?: Uint8Array }): Promise<Job> =>
    open(planes.ticket('j-1', placement, claims))
  return { full, withRights }
}

const large = Buffer.alloc(3 * 1024 * 1024, 7)

/** Every operation of a job that names a key. */
const operations: Readonly<Record<string, (job: Job, key: string) => Promise<unknown>>> = {
  put: (job, key) => job.put(key, 'x'),
  'put of a large object': (job, key) => job.put(key, large),
  'put with persist': (job, key) => job.put(key, 'x', { persist: true }),
  get: (job, key) => job.get(key),
  'get with consume': (job, key) => job.get(key, { consume: true }),
  'get that waits': (job, key) => job.get(key, { waitSeconds: 1 }),
  'get of a range': (job, key) => job.get(key, { range: { start: 0, end: 1 } }),
  stat: async (job, key) => {
    if ((await job.stat(key)) === null) throw new Error('it is not there')
  },
  exists: (job, key) => job.exists(key),
  append: (job, key) => job.append(key, 'x'),
  delete: (job, key) => job.delete(key),
  deleteMany: (job, key) => job.deleteMany([key, 'a/2']),
  getMany: (job, key) => job.getMany([key, 'a/1']),
  statMany: (job, key) => job.statMany([key, 'a/1']),
  'getMany that waits': (job, key) => job.getMany([key, 'a/1'], { waitSeconds: 1 }),
  putMany: (job, key) =>
    job.putMany([
      { key, bytes: 'x' },
      { key: 'a/2', bytes: 'x' },
    ]),
  getStream: async (job, key) => {
    for await (const _ of await job.getStream(key)) void _
  },
  putStream: (job, key) => job.putStream(key, Readable.from([Buffer.from('x')])),
}

test.each(Object.entries(operations))(
  '%s reaches keys with the prefix of its ticket alone',
  async (_, run) => {
    const { full, withRights } = await start()
    const job = await withRights({ prefix: Buffer.from('a/') })
    await expect(run(job, 'b/1')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(run(job, 'a')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect((await full.get('b/1')).toString()).toBe('b/1')
    await run(job, 'a/1')
  },
)

const reads = [
  'get',
  'get that waits',
  'get of a range',
  'stat',
  'exists',
  'getMany',
  'statMany',
  'getMany that waits',
  'getStream',
]

test.each(Object.entries(operations))('%s takes the right that it needs', async (name, run) => {
  const { withRights } = await start()
  const [reader, writer, nobody] = [
    await withRights({ write: false }),
    await withRights({ read: false }),
    await withRights({ read: false, write: false }),
  ]
  await expect(run(nobody, 'a/1')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const isRead = reads.includes(name)
  await expect(run(isRead ? writer : reader, 'a/1')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  if (name === 'get with consume')
    await expect(run(writer, 'a/1')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  else await run(isRead ? reader : writer, 'a/1')
})

test('a listing is of the keys that the ticket grants', async () => {
  const { withRights } = await start()
  const job = await withRights({ prefix: Buffer.from('a/') })
  const list = async (prefix: string) => {
    const keys: string[] = []
    for await (const { key } of job.list({ prefix })) keys.push(key)
    return keys
  }
  expect(await list('')).toEqual(['a/1'])
  expect(await list('a')).toEqual(['a/1'])
  expect(await list('a/1')).toEqual(['a/1'])
  expect(await list('a/2')).toEqual([])
  await expect(list('b/')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const writer = await withRights({ read: false })
  await expect(writer.list().next()).rejects.toMatchObject({ code: 'FORBIDDEN' })
})

test('buckets take the right to write every key, and without any right nothing is told of them or of the placement', async () => {
  const { withRights } = await start()
  for (const claims of [{ write: false }, { prefix: Buffer.from('a/') }]) {
    const job = await withRights(claims)
    expect(await job.buckets()).toEqual(['default', 'other'])
    await expect(job.createBucket('new')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(job.deleteBucket('other')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  }
  const nobody = await withRights({ read: false, write: false })
  await expect(nobody.buckets()).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(nobody.get('a/1', { bucket: 'other' })).rejects.toMatchObject({ code: 'FORBIDDEN' })
})
