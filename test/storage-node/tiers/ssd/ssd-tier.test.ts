import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../../../protocol/runtime.ts'
import {
  CHECKSUM_BLOCK_BYTES,
  COMPACTION_RETRY_MS,
  SSD_SEGMENT_BYTES_MIN,
} from '../../../../storage-node/tiers/limits.ts'
import { SsdTier } from '../../../../storage-node/tiers/ssd/ssd-tier.ts'
import { VirtualClock } from '../../../controller/support/virtual-clock.ts'
import { background, newBackground } from '../../../fixture/background.ts'
import { tempDir } from '../../../fixture/temp-dir.ts'
import { tierContract } from '../tier-contract.ts'

const { clock } = systemRuntime

tierContract('SSD', async () => new SsdTier(await tempDir(), { clock, background }))

async function open(): Promise<{ dir: string; tier: SsdTier }> {
  const dir = join(await tempDir(), 'ssd')
  const tier = new SsdTier(dir, { clock, background })
  onTestFinished(() => tier.close())
  return { dir, tier }
}

const whole = (bytes: number) => ({ offset: 0, length: bytes })

test('a flipped bit is a lost object with the reason, and its neighbours are as they were', async () => {
  const { dir, tier } = await open()
  const job = tier.open('j-a')
  const records = await Promise.all([1, 2, 3].map((value) => job.write(Buffer.alloc(1000, value))))
  const path = join(dir, 'j-a', '0.segment')
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(1500) ^ 8, 1500)
  writeFileSync(path, bytes)
  await expect(job.read(records[1] ?? -1, whole(1000))).rejects.toMatchObject({
    code: 'OBJECT_LOST',
    message: expect.stringContaining('checksum'),
  })
  expect(await job.read(records[0] ?? -1, whole(1000))).toEqual(Buffer.alloc(1000, 1))
  expect(await job.read(records[2] ?? -1, whole(1000))).toEqual(Buffer.alloc(1000, 3))
})

test('a flipped bit in one block of a record spoils no other block', async () => {
  const { dir, tier } = await open()
  const job = tier.open('j-a')
  const record = await job.write(Buffer.alloc(2 * CHECKSUM_BLOCK_BYTES, 7))
  const path = join(dir, 'j-a', '0.segment')
  const bytes = await readFile(path)
  bytes.writeUInt8(0, CHECKSUM_BLOCK_BYTES + 5)
  writeFileSync(path, bytes)
  expect(await job.read(record, whole(10))).toEqual(Buffer.alloc(10, 7))
  await expect(job.read(record, { offset: CHECKSUM_BLOCK_BYTES, length: 1 })).rejects.toMatchObject({
    code: 'OBJECT_LOST',
  })
})

test('a torn record is a lost object with the reason', async () => {
  const { dir, tier } = await open()
  const job = tier.open('j-a')
  const record = await job.write(randomBytes(1000))
  truncateSync(join(dir, 'j-a', '0.segment'), 400)
  await expect(job.read(record, whole(1000))).rejects.toMatchObject({
    code: 'OBJECT_LOST',
    message: expect.stringContaining('400 of 1000 bytes'),
  })
})

test('a full disk refuses the write, and what fitted before can still be read', async () => {
  const { dir, tier } = await open()
  const job = tier.open('j-a')
  const record = await job.write(randomBytes(SSD_SEGMENT_BYTES_MIN))
  // Every write to this device fails with ENOSPC, as on a full disk.
  symlinkSync('/dev/full', join(dir, 'j-a', '1.segment'))
  await expect(job.write(randomBytes(10))).rejects.toMatchObject({
    code: 'CAPACITY_EXCEEDED',
    message: expect.stringContaining('disk'),
  })
  expect([job.records, job.usedBytes]).toEqual([1, SSD_SEGMENT_BYTES_MIN])
  expect((await job.read(record, whole(10))).length).toBe(10)
})

test('a folder that cannot be made refuses the write, and a later one is tried anew', async () => {
  const dir = await tempDir()
  writeFileSync(join(dir, 'ssd'), 'a file is in the way')
  const job = new SsdTier(join(dir, 'ssd'), { clock, background }).open('j-a')
  await expect(job.write(Buffer.from('x'))).rejects.toMatchObject({ name: 'MayflyError' })
  expect(job.records).toBe(0)
})

test('compaction gives the space of removed records back and keeps every other', async () => {
  const { tier } = await open()
  const job = tier.open('j-a')
  const kept = new Map<number, Buffer>()
  for (let round = 0; round < 12; round++) {
    const contents = Array.from({ length: 100 }, () => randomBytes(10_000 + (round % 3) * 5_000))
    const records = await Promise.all(contents.map((bytes) => job.write(bytes)))
    records.forEach((record, index) => {
      if (index % 4 === 0) kept.set(record, contents[index] as Buffer)
      else job.remove(record)
    })
  }
  await expect.poll(() => tier.diskBytes).toBeLessThan(job.usedBytes * 1.5 + SSD_SEGMENT_BYTES_MIN)
  for (const [record, bytes] of kept)
    expect((await job.read(record, whole(bytes.length))).equals(bytes)).toBe(true)
})

test('a record that compaction finds damaged is lost, and the others of its segment are not', async () => {
  const { dir, tier } = await open()
  const job = tier.open('j-a')
  const records = await Promise.all(
    Array.from({ length: 5 }, (_, value) => job.write(Buffer.alloc(SSD_SEGMENT_BYTES_MIN / 4, value + 1))),
  )
  const path = join(dir, 'j-a', '0.segment')
  const bytes = await readFile(path)
  bytes.writeUInt8(99, 10)
  writeFileSync(path, bytes)
  job.remove(records[1] ?? -1)
  job.remove(records[2] ?? -1)
  await job.write(randomBytes(SSD_SEGMENT_BYTES_MIN))
  await expect.poll(() => readdirSync(join(dir, 'j-a'))).not.toContain('0.segment')
  await expect(job.read(records[0] ?? -1, whole(10))).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  expect(await job.read(records[3] ?? -1, whole(10))).toEqual(Buffer.alloc(10, 4))
})

/** A job of which the first segment cannot be compacted, since its records would be written to a full disk. */
async function openOnFullDisk() {
  const dir = join(await tempDir(), 'ssd')
  const clock = new VirtualClock()
  const own = newBackground(clock)
  const tier = new SsdTier(dir, { clock, background: own })
  onTestFinished(() => tier.close())
  const job = tier.open('j-a')
  const contents = Array.from({ length: 8 }, () => randomBytes(SSD_SEGMENT_BYTES_MIN / 8))
  const records = await Promise.all(contents.map((bytes) => job.write(bytes)))
  // Every write to this device fails with ENOSPC, as on a full disk.
  symlinkSync('/dev/full', join(dir, 'j-a', '1.segment'))
  await expect(job.write(randomBytes(10))).rejects.toMatchObject({ code: 'CAPACITY_EXCEEDED' })
  const report = () => own.report().find(({ task }) => task === 'compaction')
  const remove = (index: number) => job.remove(records[index] as number)
  const expectKept = async (indexes: readonly number[]) => {
    for (const index of indexes) {
      const bytes = contents[index] as Buffer
      expect((await job.read(records[index] as number, whole(bytes.length))).equals(bytes)).toBe(true)
    }
  }
  /** Lets time pass in such steps until the result is as expected. */
  const after = <Result>(ms: number, result: () => Result) =>
    expect.poll(async () => {
      await clock.advance(ms)
      return result()
    })
  return { dir, tier, clock, job, report, remove, expectKept, after }
}

test('I21: a compaction for which the disk has no room is reported, keeps every record, and is repeated until there is room', async () => {
  const { dir, clock, tier, job, report, remove, expectKept, after } = await openOnFullDisk()
  for (const index of [0, 2, 4]) remove(index)
  const reason = expect.stringContaining('The disk of the SSD tier is full (ENOSPC)')
  await after(1, report).toEqual({ task: 'compaction', failures: 1, failing: 1, reason })
  await expectKept([1, 3, 5, 6, 7])
  // More garbage in it is no reason to try a full disk sooner.
  for (const index of [1, 6]) remove(index)
  await clock.advance(COMPACTION_RETRY_MS / 2)
  await new Promise((resolve) => setTimeout(resolve, 100))
  await clock.advance(1)
  expect(report()?.failures).toBe(1)
  await clock.advance(COMPACTION_RETRY_MS / 2)
  await after(1, () => report()?.failures).toBe(2)
  await expectKept([3, 5, 7])
  // What was written in vain fills the segment, and the next one lies on a disk with room.
  rmSync(join(dir, 'j-a', '1.segment'))
  await after(COMPACTION_RETRY_MS, report).toMatchObject({ failing: 0, reason: '' })
  await expectKept([3, 5, 7])
  await after(1, () => readdirSync(join(dir, 'j-a'))).toEqual(['2.segment'])
  expect(tier.diskBytes).toBe(job.usedBytes)
  expect(job.usedBytes).toBe((3 * SSD_SEGMENT_BYTES_MIN) / 8)
})

test('a job that ends while it cannot be compacted is reported as failing no more', async () => {
  const { dir, job, report, remove, after } = await openOnFullDisk()
  for (const index of [0, 2, 4]) remove(index)
  await after(1, () => report()?.failing).toBe(1)
  await job.drop()
  expect(readdirSync(dir)).toEqual([])
  await after(COMPACTION_RETRY_MS, report).toMatchObject({ failures: 1, failing: 0 })
})

test('a job that is dropped while it is compacted leaves no file', async () => {
  const { dir, tier } = await open()
  const job = tier.open('j-a')
  const records = await Promise.all(
    Array.from({ length: 40 }, () => job.write(randomBytes(SSD_SEGMENT_BYTES_MIN / 8))),
  )
  records.forEach((record, index) => {
    if (index % 2 === 0) job.remove(record)
  })
  await new Promise((resolve) => setTimeout(resolve, 5))
  await job.drop()
  expect(readdirSync(dir)).toEqual([])
})

test('files that another process left under the same name count for nothing', async () => {
  const { dir, tier } = await open()
  mkdirSync(join(dir, 'j-a'), { recursive: true })
  writeFileSync(join(dir, 'j-a', '0.segment'), randomBytes(1000))
  const job = tier.open('j-a')
  const record = await job.write(Buffer.from('new'))
  expect((await job.read(record, whole(3))).toString()).toBe('new')
  expect(statSync(join(dir, 'j-a', '0.segment')).size).toBe(3)
})
