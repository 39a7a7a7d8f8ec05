import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { CHECKSUM_BLOCK_BYTES } from '../../../storage-node/tiers/limits.ts'
import type { TierSpace, TierStore } from '../../../storage-node/tiers/tier-store.ts'

/** The contract of every tier below RAM. `open` returns an empty one. */
export function tierContract(name: string, open: (test: TestContext) => Promise<TierStore>): void {
  async function openTier(context: TestContext): Promise<TierStore> {
    const tier = await open(context)
    onTestFinished(() => tier.close())
    return tier
  }
  const openJob = async (context: TestContext): Promise<TierSpace> => (await openTier(context)).open('j-a')

  describe(`the ${name} tier`, () => {
    test('gives back what was written, of every size', async (context) => {
      const job = await openJob(context)
      const sizes = [0, 1, 100, 64 * 1024, CHECKSUM_BLOCK_BYTES, CHECKSUM_BLOCK_BYTES + 1, 6 * 2 ** 20 + 7]
      const contents = sizes.map((size) => randomBytes(size))
      const records = await Promise.all(contents.map((bytes) => job.write(bytes)))
      for (const [index, bytes] of contents.entries())
        expect((await readAll(job, records[index], bytes.length)).equals(bytes)).toBe(true)
    })

    test('gives back a part of a record, also one that lies across two blocks', async (context) => {
      const job = await openJob(context)
      const bytes = randomBytes(3 * CHECKSUM_BLOCK_BYTES + 10)
      const record = await job.write(bytes)
      const ranges = [
        [0, 1],
        [CHECKSUM_BLOCK_BYTES - 3, 6],
        [CHECKSUM_BLOCK_BYTES, CHECKSUM_BLOCK_BYTES],
        [bytes.length - 5, 5],
        [bytes.length, 0],
      ] as const
      for (const [offset, length] of ranges) {
        const part = await job.read(record, { offset, length })
        expect(part.equals(bytes.subarray(offset, offset + length))).toBe(true)
      }
    })

    test('keeps a copy: what the writer does with its memory afterwards changes nothing', async (context) => {
      const job = await openJob(context)
      const bytes = Buffer.from('as it was')
      const record = await job.write(bytes)
      bytes.fill(0)
      expect((await readAll(job, record, 9)).toString()).toBe('as it was')
    })

    test('counts records and their bytes, and no others', async (context) => {
      const tier = await openTier(context)
      const job = tier.open('j-a')
      const other = tier.open('j-b')
      await other.write(Buffer.alloc(7))
      const [first] = await Promise.all([job.write(Buffer.alloc(100)), job.write(Buffer.alloc(50))])
      expect([job.records, job.usedBytes]).toEqual([2, 150])
      job.remove(first)
      expect([job.records, job.usedBytes]).toEqual([1, 50])
      expect([other.records, other.usedBytes]).toEqual([1, 7])
    })

    test('gives the right bytes under numbers that were given before', async (context) => {
      const job = await openJob(context)
      const held = new Map<number, Buffer>()
      for (let round = 0; round < 20; round++) {
        const contents = Array.from({ length: 20 }, () => randomBytes(1 + ((round * 37) % 2000)))
        const records = await Promise.all(contents.map((bytes) => job.write(bytes)))
        for (const [index, record] of records.entries()) held.set(record, contents[index] as Buffer)
        for (const record of [...held.keys()].filter((_, index) => index % 2 === round % 2)) {
          job.remove(record)
          held.delete(record)
        }
      }
      expect(held.size).toBeGreaterThan(0)
      expect(job.records).toBe(held.size)
      for (const [record, bytes] of held)
        expect((await readAll(job, record, bytes.length)).equals(bytes)).toBe(true)
    })

    test('finishes a read of a record that is removed meanwhile', async (context) => {
      const job = await openJob(context)
      const bytes = randomBytes(2 * CHECKSUM_BLOCK_BYTES)
      const record = await job.write(bytes)
      const reading = readAll(job, record, bytes.length)
      job.remove(record)
      const again = job.write(randomBytes(2 * CHECKSUM_BLOCK_BYTES))
      expect((await reading).equals(bytes)).toBe(true)
      await again
    })

    test('drops a job with all that it has, and no other job', async (context) => {
      const tier = await openTier(context)
      const job = tier.open('j-a')
      const other = tier.open('j-b')
      const [kept] = await Promise.all([
        other.write(Buffer.from('stays')),
        ...Array.from({ length: 50 }, () => job.write(randomBytes(500))),
      ])
      await job.drop()
      await expect(job.write(Buffer.from('late'))).rejects.toMatchObject({ code: 'JOB_ENDED' })
      expect((await readAll(other, kept, 5)).toString()).toBe('stays')
    })

    test('a write that is under way when its job is dropped leaves nothing and says so', async (context) => {
      const tier = await openTier(context)
      const job = tier.open('j-a')
      const writes = Array.from({ length: 8 }, () => job.write(randomBytes(2 ** 20)))
      const outcomes = Promise.allSettled(writes)
      await job.drop()
      for (const outcome of await outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'JOB_ENDED' })
      }
    })
  })
}

async function readAll(job: TierSpace, record: number | undefined, length: number): Promise<Buffer> {
  return await job.read(record ?? -1, { offset: 0, length })
}
