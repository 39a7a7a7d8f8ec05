import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { ListOptions } from '../../client/options.ts'
import { open, Planes } from '../fixture/planes.ts'

const MIB = 2 ** 20

async function openJob() {
  const planes = await Planes.start()
  return await open(await planes.createJob('j-1', [await planes.startNode(), await planes.startNode()]))
}

test.each([10, 3 * MIB])(
  'a read of one version of %i bytes gives that, or VERSION_MISMATCH',
  async (length) => {
    const job = await openJob()
    const bytes = randomBytes(length)
    const { version: ifVersion } = await job.put('a', bytes)
    const range = { start: 5 }
    const reads = {
      get: () => job.get('a', { ifVersion }),
      range: () => job.get('a', { ifVersion, range }),
      stream: () => buffer(job.getStream('a', { ifVersion })),
      metadata: async () => (await job.getWithMetadata('a', { ifVersion })).value,
    }
    for (const [name, read] of Object.entries(reads)) {
      const expected = name === 'range' ? bytes.subarray(5) : bytes
      expect((await read()).equals(expected), name).toBe(true)
    }
    await job.put('a', randomBytes(length))
    for (const [name, read] of Object.entries(reads))
      await expect(read(), name).rejects.toMatchObject({ code: 'VERSION_MISMATCH' })
    await job.delete('a')
    await expect(job.get('a', { ifVersion })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  },
)

test('a listing begins after a key, which need not exist', async () => {
  const job = await openJob()
  for (const key of ['a', 'b/1', 'b/2', 'c', 'é']) await job.put(key, key)
  const after = async (key: string, prefix?: string) => {
    const keys: string[] = []
    for await (const entry of job.list({ after: key, prefix })) keys.push(entry.key)
    return keys
  }
  expect(await after('b/1')).toEqual(['b/2', 'c', 'é'])
  expect(await after('b')).toEqual(['b/1', 'b/2', 'c', 'é'])
  expect(await after('b/1', 'b/')).toEqual(['b/2'])
  expect(await after('é')).toEqual([])
})

test('a listing of at most so many keys has the first ones, of one node or of several', async () => {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode(), await planes.startNode()]
  const job = await open(await planes.createJob('j-1', nodes))
  const keys = Array.from({ length: 3_000 }, (_, index) => `k/${String(index).padStart(4, '0')}`)
  await job.putMany(keys.map((key) => ({ key, bytes: 'x' })))
  const listed = async (options: ListOptions) => {
    const found: string[] = []
    for await (const { key } of job.list(options)) found.push(key)
    return found
  }
  for (const limit of [1, 2, 999, 1_001, 1_002, 2_500, 3_000, 5_000])
    expect(await listed({ limit })).toEqual(keys.slice(0, limit))
  expect(await listed({ limit: 10, after: 'k/2994' })).toEqual(keys.slice(2_995))
  expect(await listed({ limit: 3, prefix: 'k/12' })).toEqual(keys.slice(1_200, 1_203))
})

test.each([10, 2 * MIB + 3])('metadata of a stream of %i bytes can be known at its end', async (length) => {
  const job = await openJob()
  let seen = 0
  async function* source() {
    for (let left = length; left > 0; left -= 100_000) {
      const piece = Buffer.alloc(Math.min(left, 100_000))
      seen += piece.length
      yield piece
    }
  }
  await job.putStream('a', source(), { metadata: () => ({ seen: String(seen) }) })
  expect(await job.stat('a')).toMatchObject({ bytes: length, metadata: { seen: String(length) } })
  const tooMuch = () => ({ a: 'x'.repeat(9000) })
  await expect(job.putStream('b', source(), { metadata: tooMuch })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  })
  expect(await job.exists('b')).toBe(false)
})
