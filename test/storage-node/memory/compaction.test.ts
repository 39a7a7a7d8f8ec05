import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { open, Planes } from '../../fixture/planes.ts'

const MIB = 1024 * 1024

test('after most of many small objects were deleted, the room that they had is there for large ones', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode(64 * MIB)
  const limits = { capacityBytes: 64 * MIB, bytesPerSecond: 1e9 }
  const job = await open(await planes.createJob('j-a', [node], limits))
  const small = randomBytes(1_000)
  const keys = Array.from({ length: 52_000 }, (_, number) => `small/${number}`)
  for (let from = 0; from < keys.length; from += 1_000)
    await job.putMany(keys.slice(from, from + 1_000).map((key) => ({ key, bytes: small })))
  const stays = keys.filter((_, number) => number % 100 === 0)
  await job.deleteMany(keys.filter((_, number) => number % 100 !== 0))
  const large = randomBytes(3 * MIB)
  // All concurrently, so that none finds what another one's compaction has freed.
  const puts = Array.from({ length: 19 }, (_, number) => job.put(`large/${number}`, large))
  await Promise.all(puts)
  for (const number of puts.keys()) expect((await job.get(`large/${number}`)).equals(large)).toBe(true)
  const kept = await job.getMany(stays)
  expect(kept.every((bytes) => bytes?.equals(small))).toBe(true)
})
