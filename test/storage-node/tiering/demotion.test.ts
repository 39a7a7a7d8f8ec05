import { randomBytes } from 'node:crypto'
import { readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { CHUNK_BYTES } from '../../../protocol/limits.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { openSsd } from '../../../storage-node/tiers/ssd/open-ssd.ts'
import { background } from '../../fixture/background.ts'
import type { RunningNode } from '../../fixture/planes.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { demotedKey, fill, MIB, spaceOf, ssdBytesOf, start, tiersOf } from '../support/spilling.ts'

test('of a job four times larger than its RAM nothing is lost, small objects, large ones and streams', async () => {
  const { job, nodes } = await start({ ramBytes: 8 * MIB })
  const contents = await fill(job, { count: 1_000, bytes: 20_000 })
  const large = randomBytes(8 * CHUNK_BYTES + 17)
  await job.put('large', large)
  await job.putStream('stream', Readable.from([large.subarray(0, 100_000), large.subarray(100_000)]))
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
  expect((await job.get('large')).equals(large)).toBe(true)
  expect(Buffer.concat(await (await job.getStream('stream')).toArray()).equals(large)).toBe(true)
  const [node] = nodes as [RunningNode]
  expect(spaceOf(node).usedBytes).toBeLessThanOrEqual(8 * MIB)
  expect(ssdBytesOf(node)).toBeGreaterThan(20 * MIB)
})

test('stat and statMany tell the tier, and list, ranges, getMany, exists and deleteMany know what lies on SSD', async () => {
  const { job } = await start({ ramBytes: 4 * MIB })
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  const tiers = await tiersOf(job, contents.keys())
  expect(new Set(tiers.values())).toEqual(new Set(['ram', 'ssd']))
  const stats = await job.statMany([...tiers.keys()])
  expect(new Set(stats.map((stat) => stat?.tier))).toEqual(new Set(['ram', 'ssd']))
  expect(stats.every((stat) => stat?.bytes === 20_000)).toBe(true)
  const listed: string[] = []
  for await (const { key, bytes } of job.list()) {
    expect(bytes).toBe(20_000)
    listed.push(key)
  }
  expect(listed.length).toBe(400)
  const keys = [...tiers].filter(([, tier]) => tier === 'ssd').map(([key]) => key)
  const key = keys[0] as string
  expect(await job.exists(key)).toBe(true)
  const part = await job.get(key, { range: { start: 5_000, end: 5_010 } })
  expect(part.equals(contents.get(key)?.subarray(5_000, 5_010) ?? Buffer.alloc(0))).toBe(true)
  const many = await job.getMany(keys.slice(0, 50))
  expect(
    many.map((bytes, index) => bytes?.equals(contents.get(keys[index] as string) ?? Buffer.alloc(0))),
  ).toEqual(new Array(50).fill(true))
  expect(await job.deleteMany(keys)).toBe(keys.length)
  expect(await job.exists(key)).toBe(false)
})

test('what was removed, replaced or consumed below RAM is free there, and an append brings its object back', async () => {
  const { job, nodes } = await start({ ramBytes: 4 * MIB })
  const [node] = nodes as [RunningNode]
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  const keys = [...(await tiersOf(job, contents.keys()))]
    .filter(([, tier]) => tier === 'ssd')
    .map(([key]) => key)
  const [consumed, replaced, appended, removed] = keys as [string, string, string, string]
  expect((await job.get(consumed, { consume: true })).equals(contents.get(consumed) ?? Buffer.alloc(0))).toBe(
    true,
  )
  await expect(job.get(consumed)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await job.put(replaced, 'new')
  expect((await job.get(replaced)).toString()).toBe('new')
  expect(await job.append(appended, 'tail')).toBe(20_004)
  expect((await job.get(appended)).subarray(20_000).toString()).toBe('tail')
  await job.delete(removed)
  for (const key of contents.keys()) await job.delete(key)
  expect(spaceOf(node).tiers.records).toBe(0)
  expect(ssdBytesOf(node)).toBe(0)
})

test('I17: what is overwritten, appended to, deleted or consumed while it leaves RAM is what the last call made it', async () => {
  const { job, nodes } = await start({ ramBytes: 2 * MIB })
  const [node] = nodes as [RunningNode]
  const now = new Map<string, string | null>()
  const work = async (lane: number): Promise<void> => {
    for (let round = 0; round < 150; round++) {
      const key = `k/${lane}/${round % 10}`
      const text = `${lane}/${round}/`.padEnd(12_000, 'x')
      await job.put(key, text)
      now.set(key, text)
      if (round % 4 === 1) {
        await job.append(key, 'more')
        now.set(key, `${text}more`)
      } else if (round % 4 === 2) {
        expect((await job.get(key, { consume: true })).toString()).toBe(text)
        now.set(key, null)
      } else if (round % 4 === 3) {
        await job.delete(key)
        now.set(key, null)
      }
    }
  }
  await Promise.all(Array.from({ length: 24 }, (_, lane) => work(lane)))
  for (const [key, text] of now) {
    if (text === null) await expect(job.get(key)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    else expect((await job.get(key)).toString() === text).toBe(true)
  }
  for (const key of now.keys()) await job.delete(key)
  expect([spaceOf(node).tiers.records, ssdBytesOf(node), spaceOf(node).objects]).toEqual([0, 0, 0])
})

test('a job is full only when RAM and SSD are, and takes more once something was deleted', async () => {
  const { job } = await start({ ramBytes: 4 * MIB, ssdBytes: 4 * MIB })
  let stored = 0
  const failure = await (async () => {
    for (;;) {
      try {
        await job.put(`k/${stored}`, randomBytes(50_000))
      } catch (error) {
        return error
      }
      stored++
    }
  })()
  expect(failure).toMatchObject({ code: 'CAPACITY_EXCEEDED' })
  expect(stored).toBeGreaterThan(150)
  for (let index = 0; index < 20; index++) await job.delete(`k/${index}`)
  await sleep(50)
  await job.put('again', randomBytes(50_000))
})

test('ttlSeconds holds below RAM, and what is over is freed there', async () => {
  const { job, nodes } = await start({ ramBytes: 2 * MIB })
  const [node] = nodes as [RunningNode]
  for (let index = 0; index < 200; index++)
    await job.put(`k/${index}`, randomBytes(20_000), { ttlSeconds: 2 })
  const key = await demotedKey(
    job,
    Array.from({ length: 200 }, (_, index) => `k/${index}`),
  )
  await sleep(2_100)
  await expect(job.get(key)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect.poll(() => spaceOf(node).tiers.records).toBe(0)
  expect(ssdBytesOf(node)).toBe(0)
})

test('a record that the disk damaged is OBJECT_LOST with the reason, and never wrong bytes', async () => {
  const { job, dirs } = await start({ ramBytes: 4 * MIB })
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  const key = await demotedKey(job, contents.keys())
  for (const file of readdirSync(join(dirs[0] as string, 'j-a'))) {
    const path = join(dirs[0] as string, 'j-a', file)
    const bytes = await readFile(path)
    for (let at = 0; at < bytes.length; at += 1_000) bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    writeFileSync(path, bytes)
  }
  await expect(job.get(key)).rejects.toMatchObject({
    code: 'OBJECT_LOST',
    message: expect.stringContaining('checksum'),
  })
})

test('a full disk stops what leaves RAM and nothing else: the job is full then, and its objects are there', async () => {
  const { job, dirs } = await start({ ramBytes: 4 * MIB })
  const contents = await fill(job, { count: 300, bytes: 20_000 })
  // Every write to this device fails with ENOSPC, as on a full disk.
  const folder = join(dirs[0] as string, 'j-a')
  const next = readdirSync(folder).length
  for (let number = next; number < next + 50; number++)
    symlinkSync('/dev/full', join(folder, `${number}.segment`))
  const failure = await (async () => {
    for (let index = 0; index < 5_000; index++) {
      try {
        await job.put(`more/${index}`, randomBytes(20_000))
      } catch (error) {
        return error
      }
    }
    return null
  })()
  expect(failure).toMatchObject({ code: 'CAPACITY_EXCEEDED' })
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
})

test('a job that ends while its objects leave RAM leaves no file and no byte', async () => {
  const { job, nodes, dirs, planes } = await start({ ramBytes: 4 * MIB })
  const [node] = nodes as [RunningNode]
  await fill(job, { count: 600, bytes: 20_000 })
  const puts = Promise.allSettled(
    Array.from({ length: 200 }, (_, at) => job.put(`x/${at}`, randomBytes(20_000))),
  )
  await planes.ask(placementOperations.jobEnd, { job: 'j-a' })
  await puts
  await expect.poll(() => readdirSync(dirs[0] as string)).toEqual([])
  expect(node.node.ram.usedBytes).toBe(0)
  expect(node.node.lower.map(({ budget }) => budget.usedBytes)).toEqual([0])
})

test('a drain takes along what lies on SSD, and leaves nothing on the node that is emptied', async () => {
  const { job, nodes, planes } = await start({ nodes: 2, ramBytes: 4 * MIB })
  const [from, to] = nodes as [RunningNode, RunningNode]
  const contents = await fill(job, { count: 600, bytes: 20_000 })
  const large = randomBytes(6 * CHUNK_BYTES)
  await job.put('large', large)
  expect(ssdBytesOf(from)).toBeGreaterThan(0)
  const shares = nodes.map((node) => ({
    node: node.id,
    address: node.address,
    weight: node === to ? 1 : 0,
    ramBytes: 4 * MIB,
    ssdBytes: 256 * MIB,
    s3Bytes: 0,
    bytesPerSecond: 1e9,
  }))
  await planes.ask(placementOperations.jobShares, { job: 'j-a', readsPerThousand: null, shares })
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
  expect((await job.get('large')).equals(large)).toBe(true)
  await expect.poll(() => spaceOf(from).hasSlots).toBe(false)
  await expect
    .poll(() => [ssdBytesOf(from), spaceOf(from).tiers.records, spaceOf(from).usedBytes])
    .toEqual([0, 0, 0])
  expect(spaceOf(to).usedBytes).toBeLessThanOrEqual(8 * MIB)
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
  expect((await job.get('large')).equals(large)).toBe(true)
})

test('a put that is larger than what is left of RAM waits for room, also among many in one message', async () => {
  const { job } = await start({ ramBytes: 2 * MIB })
  const entries = Array.from({ length: 400 }, (_, index) => ({
    key: `m/${index}`,
    bytes: randomBytes(15_000),
  }))
  await job.putMany(entries)
  await Promise.all(Array.from({ length: 12 }, (_, index) => job.put(`big/${index}`, randomBytes(900_000))))
  for (const { key, bytes } of entries) expect((await job.get(key)).equals(bytes)).toBe(true)
  for (let index = 0; index < 12; index++) expect((await job.get(`big/${index}`)).length).toBe(900_000)
})

test('files of an earlier process are gone before a node serves', async () => {
  const dir = await tempDir()
  writeFileSync(join(dir, '0.segment'), 'left')
  await openSsd({ bytes: 1, dir }, { clock: systemRuntime.clock, background })
  expect(() => statSync(join(dir, '0.segment'))).toThrow('ENOENT')
})

/** As the node reports it to the controller. */
function reportOf({ node }: RunningNode) {
  const report = node.report(1_000).find(({ id }) => id === 'j-a')
  if (report === undefined) throw new Error('the node does not report the job')
  return report
}

test('a node reports objects, hits and movement of a job by tier', async () => {
  const { job, nodes } = await start({ ramBytes: 4 * MIB })
  const [node] = nodes as [RunningNode]
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  await expect.poll(() => spaceOf(node).isOverLow).toBe(false)
  const tiers = await tiersOf(job, contents.keys())
  const keysOn = (wanted: string) => [...tiers].filter(([, tier]) => tier === wanted).map(([key]) => key)
  for (const key of keysOn('ram')) await job.get(key)
  await job.getMany(keysOn('ram').slice(0, 10))
  const before = reportOf(node)
  expect(before.objects).toBe(400)
  expect((before.tiers.ram?.objects ?? 0) + (before.tiers.ssd?.objects ?? 0)).toBe(400)
  expect(before.tiers.ssd?.objects).toBe(keysOn('ssd').length)
  expect(before.tiers.ram?.hits).toBe(keysOn('ram').length + 10)
  expect(before.tiers.ssd?.hits).toBe(0)
  expect(before.tiers.ram?.demotedBytes).toBe((before.tiers.ram?.demotedObjects ?? 0) * 20_000)
  expect(before.tiers.ram?.demotedObjects).toBeGreaterThanOrEqual(keysOn('ssd').length)
  expect(before.stored).toBe(400)
  const key = await demotedKey(job, contents.keys())
  for (let read = 0; read < 20; read++) await job.get(key)
  const after = reportOf(node)
  expect(after.tiers.ssd?.hits).toBeGreaterThan(0)
  expect(after.tiers.ssd?.promotedObjects).toBe(1)
  expect(after.tiers.ssd?.promotedBytes).toBe(20_000)
  expect(after.tiers.s3).toBeUndefined()
})

test('what changes while it leaves is reported as a move that was dropped', async () => {
  const { job, nodes } = await start({ ramBytes: 4 * MIB })
  const [node] = nodes as [RunningNode]
  const bytes = randomBytes(20_000)
  for (let round = 0; round < 40 && (reportOf(node).tiers.ram?.droppedMoves ?? 0) === 0; round++) {
    const puts = Array.from({ length: 200 }, (_, index) => job.put(`k/${index}`, bytes))
    await Promise.all(puts)
  }
  expect(reportOf(node).tiers.ram?.droppedMoves).toBeGreaterThan(0)
})

test('a getMany reads what lies below RAM in one message, and gives the last value of each key', async () => {
  const { job, nodes } = await start({ ramBytes: 4 * MIB })
  const contents = await fill(job, { count: 400, bytes: 20_000 })
  const tiers = await tiersOf(job, contents.keys())
  const keys = [...tiers].flatMap(([key, tier]) => (tier === 'ssd' ? [key] : [])).slice(0, 40)
  const requests = spaceOf(nodes[0] as RunningNode).requests
  const values = await job.getMany(keys)
  expect(spaceOf(nodes[0] as RunningNode).requests - requests).toBeLessThan(5)
  keys.forEach((key, at) => {
    expect(values[at]?.equals(contents.get(key) as Buffer)).toBe(true)
  })
  const [overwritten, deleted] = keys as [string, string]
  const after = Buffer.from('after')
  const [reading] = await Promise.all([job.getMany(keys), job.put(overwritten, after), job.delete(deleted)])
  const seen = reading[keys.indexOf(overwritten)] as Buffer
  expect(seen.equals(after) || seen.equals(contents.get(overwritten) as Buffer)).toBe(true)
  const last = await job.getMany(keys)
  expect(last[keys.indexOf(overwritten)]?.equals(after)).toBe(true)
  expect(last[keys.indexOf(deleted)]).toBeNull()
})
