import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, type TestContext, test } from 'vitest'
import type { Job } from '../../../client/job.ts'
import { CHUNK_BYTES } from '../../../protocol/limits.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import type { S3Settings } from '../../../service/s3/s3-settings.ts'
import { S3Tier } from '../../../storage-node/tiers/s3/s3-tier.ts'
import { openSsd } from '../../../storage-node/tiers/ssd/open-ssd.ts'
import { background } from '../../fixture/background.ts'
import { open, Planes, type RunningNode } from '../../fixture/planes.ts'
import { keysIn, sharedS3, startFaults } from '../../fixture/s3.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

const MIB = 1024 * 1024
const startS3 = sharedS3()

/** A job with 4 MiB of RAM, `ssdBytes` of SSD, and S3 on each of its nodes. */
async function start(settings: S3Settings, options: { ssdBytes: number; nodes?: number }) {
  const { ssdBytes, nodes: count = 1 } = options
  const planes = await Planes.start()
  const nodes: RunningNode[] = []
  for (let index = 0; index < count; index++) {
    const ssd = await openSsd(
      { bytes: 1024 * MIB, dir: join(await tempDir(), 'ssd') },
      { clock: systemRuntime.clock, background },
    )
    const s3 = new S3Tier(`n-${index}`, new S3Bucket(settings, systemRuntime.clock), {
      ...systemRuntime,
      background,
    })
    nodes.push(await planes.startNode(64 * MIB, 1e9, { ssd, s3 }))
  }
  const ticket = await planes.createJob('j-a', nodes, {
    capacityBytes: 4 * MIB * count,
    ssdBytes: ssdBytes * count,
    s3Bytes: 256 * MIB * count,
    bytesPerSecond: 1e9,
  })
  return { planes, nodes, job: await open(ticket) }
}

async function fill(job: Job, count: number): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>()
  for (let index = 0; index < count; index++) {
    const bytes = randomBytes(50_000)
    contents.set(`k/${index}`, bytes)
    await job.put(`k/${index}`, bytes)
  }
  return contents
}

async function keysOn(job: Job, tier: string, keys: Iterable<string>): Promise<string[]> {
  const found: string[] = []
  for (const key of keys) if ((await job.stat(key))?.tier === tier) found.push(key)
  return found
}

async function expectAll(job: Job, contents: Map<string, Buffer>): Promise<void> {
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
}

test('of a job larger than its RAM and its SSD the rest lies on S3, nothing is lost, and its end empties all', async (context: TestContext) => {
  const settings = await startS3(context)
  const keys = keysIn(settings)
  const { job, planes } = await start(settings, { ssdBytes: 6 * MIB })
  const contents = await fill(job, 500)
  const large = randomBytes(6 * CHUNK_BYTES + 5)
  await job.put('large', large)
  for (const tier of ['ram', 'ssd', 's3'])
    expect((await keysOn(job, tier, contents.keys())).length).toBeGreaterThan(10)
  await expectAll(job, contents)
  expect((await job.get('large')).equals(large)).toBe(true)
  expect((await keys()).length).toBeGreaterThan(10)
  await planes.ask(placementOperations.jobEnd, { job: 'j-a' })
  await expect.poll(keys).toEqual([])
})

test('without SSD objects go from RAM to S3, and what is overwritten or consumed there is deleted soon', async (context: TestContext) => {
  const settings = await startS3(context)
  const keys = keysIn(settings)
  const { job } = await start(settings, { ssdBytes: 0 })
  const contents = await fill(job, 200)
  const [consumed, replaced] = (await keysOn(job, 's3', contents.keys())) as [string, string]
  expect((await job.get(consumed, { consume: true })).equals(contents.get(consumed) ?? Buffer.alloc(0))).toBe(
    true,
  )
  await job.put(replaced, 'new')
  expect((await job.get(replaced)).toString()).toBe('new')
  await job.deleteMany([...contents.keys()])
  await expect.poll(keys).toEqual([])
})

test('while the endpoint is down nothing more leaves, reads of what is there fail within a bound, and all goes on afterwards', async (context: TestContext) => {
  const faults = await startFaults(await startS3(context))
  const { job } = await start(faults.settings, { ssdBytes: 6 * MIB })
  const contents = await fill(job, 400)
  const [key] = (await keysOn(job, 's3', contents.keys())) as [string]
  const [near] = (await keysOn(job, 'ssd', contents.keys())) as [string]
  faults.down = true
  await expect(job.get(key, { deadlineMs: 3_000 })).rejects.toMatchObject({
    code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
  })
  expect((await job.get(near)).equals(contents.get(near) ?? Buffer.alloc(0))).toBe(true)
  let refused: unknown = null
  for (let index = 0; refused === null && index < 400; index++)
    refused = await job.put(`more/${index}`, randomBytes(50_000)).then(
      () => null,
      (error: unknown) => error,
    )
  expect(refused).toMatchObject({ code: 'CAPACITY_EXCEEDED' })
  faults.down = false
  await expect
    .poll(
      () =>
        job.put('again', randomBytes(50_000)).then(
          () => true,
          () => false,
        ),
      { timeout: 30_000 },
    )
    .toBe(true)
  await expectAll(job, contents)
})

test('a drain takes along what lies on S3', async (context: TestContext) => {
  const settings = await startS3(context)
  const keys = keysIn(settings)
  const { job, nodes, planes } = await start(settings, { ssdBytes: 2 * MIB, nodes: 2 })
  const contents = await fill(job, 400)
  const [from, to] = nodes as [RunningNode, RunningNode]
  const shares = nodes.map((node) => ({
    node: node.id,
    address: node.address,
    weight: node === to ? 1 : 0,
    ramBytes: 4 * MIB,
    ssdBytes: 2 * MIB,
    s3Bytes: 256 * MIB,
    bytesPerSecond: 1e9,
  }))
  await planes.ask(placementOperations.jobShares, { job: 'j-a', readsPerThousand: null, shares })
  await expectAll(job, contents)
  await expect.poll(() => from.node.jobs.get('j-a')?.hasSlots).toBe(false)
  await expect.poll(async () => (await keys()).filter((key) => key.includes('/n-0/'))).toEqual([])
  await expectAll(job, contents)
})

test('an endpoint that is slow, or answers 503 now and then, slows what moves and loses nothing', async (context: TestContext) => {
  const faults = await startFaults(await startS3(context))
  const { job } = await start(faults.settings, { ssdBytes: 0 })
  faults.delayMs = 300
  const contents = await fill(job, 120)
  faults.delayMs = 0
  faults.refusals = 3
  faults.refuse = ['PUT', 'GET']
  for (let index = 120; index < 160; index++) {
    const bytes = randomBytes(50_000)
    contents.set(`k/${index}`, bytes)
    await job.put(`k/${index}`, bytes)
  }
  const below = await keysOn(job, 's3', contents.keys())
  expect(below.length).toBeGreaterThan(20)
  await expect.poll(() => faults.refusals).toBe(0)
  faults.delayMs = 300
  const [key] = below as [string]
  expect((await job.get(key)).equals(contents.get(key) as Buffer)).toBe(true)
  faults.delayMs = 0
  await expectAll(job, contents)
})

test('what is overwritten, deleted or consumed while it goes to a slow endpoint is what the last call made it', async (context: TestContext) => {
  const faults = await startFaults(await startS3(context))
  const { job } = await start(faults.settings, { ssdBytes: 0 })
  faults.delayMs = 200
  const contents = await fill(job, 78)
  await expect.poll(() => faults.requests, { interval: 5 }).toBeGreaterThan(0)
  const keys = [...contents.keys()]
  await Promise.all(
    keys.map((key, index) => {
      if (index % 3 === 0) return job.put(key, `new ${key}`)
      return index % 3 === 1 ? job.delete(key) : job.get(key, { consume: true })
    }),
  )
  faults.delayMs = 0
  for (const [index, key] of keys.entries()) {
    if (index % 3 === 0) expect((await job.get(key)).toString()).toBe(`new ${key}`)
    else expect(await job.exists(key)).toBe(false)
  }
})

test('a job that ends while its objects go to S3 leaves none there', async (context: TestContext) => {
  const settings = await startS3(context)
  const faults = await startFaults(settings)
  const { job, planes, nodes } = await start(faults.settings, { ssdBytes: 0 })
  const list = keysIn(settings)
  faults.delayMs = 200
  await fill(job, 78)
  await expect.poll(() => faults.requests, { interval: 5 }).toBeGreaterThan(0)
  await planes.ask(placementOperations.jobEnd, { job: 'j-a' })
  faults.delayMs = 0
  await expect.poll(list).toEqual([])
  for (const { node } of nodes) {
    expect(node.ram.usedBytes).toBe(0)
    expect(node.lower.map(({ budget }) => budget.usedBytes)).toEqual([0, 0])
  }
})
