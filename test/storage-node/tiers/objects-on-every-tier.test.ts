import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, type TestContext, test } from 'vitest'
import type { Job } from '../../../client/job.ts'
import { CHUNK_BYTES } from '../../../protocol/limits.ts'
import { type Tier, tiers } from '../../../protocol/operations/data-operations.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { S3Tier } from '../../../storage-node/tiers/s3/s3-tier.ts'
import { openSsd } from '../../../storage-node/tiers/ssd/open-ssd.ts'
import { background } from '../../fixture/background.ts'
import { open, Planes, type RunningNode } from '../../fixture/planes.ts'
import { sharedS3 } from '../../fixture/s3.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

/** A client sees an object alike on every tier. */

const MIB = 1024 * 1024
const RAM_BYTES = 8 * MIB
const startS3 = sharedS3()

/** A job on one tier, or one whose objects can be demoted to it. */
class Tiered {
  readonly planes: Planes
  readonly nodes: readonly RunningNode[]
  readonly job: Job
  readonly #tier: Tier
  #fillers = 0

  private constructor(of: { planes: Planes; nodes: readonly RunningNode[]; job: Job; tier: Tier }) {
    this.planes = of.planes
    this.nodes = of.nodes
    this.job = of.job
    this.#tier = of.tier
  }

  static async start(tier: Tier, context: TestContext, nodeCount = 1): Promise<Tiered> {
    const settings = tier === 's3' ? await startS3(context) : null
    const planes = await Planes.start()
    const nodes: RunningNode[] = []
    for (let index = 0; index < nodeCount; index++) {
      const dir = join(await tempDir(), 'ssd')
      const ssd =
        tier === 'ssd'
          ? await openSsd({ bytes: 256 * MIB, dir }, { clock: systemRuntime.clock, background })
          : null
      const s3 =
        settings === null
          ? null
          : new S3Tier(`n-${index}`, new S3Bucket(settings, systemRuntime.clock), {
              ...systemRuntime,
              background,
            })
      nodes.push(await planes.startNode(128 * MIB, 1e9, { ssd, s3 }))
    }
    const ticket = await planes.createJob('j-a', nodes.slice(0, 1), {
      capacityBytes: tier === 'ram' ? 64 * MIB : RAM_BYTES,
      ssdBytes: tier === 'ssd' ? 128 * MIB : 0,
      s3Bytes: tier === 's3' ? 128 * MIB : 0,
      bytesPerSecond: 1e9,
      // Objects that were read once are demoted first and are not promoted when they are read again.
      readsPerObject: 1,
    })
    return new Tiered({ planes, nodes, job: await open(ticket), tier })
  }

  /** Puts an object and demotes it to the tier; asserts that it is there. */
  async put(key: string, bytes: Buffer, options: Parameters<Job['put']>[2] = {}): Promise<void> {
    await this.job.put(key, bytes, options)
    await this.lower(key)
  }

  async versionOf(key: string) {
    const stat = await this.job.stat(key)
    if (stat === null) throw new Error(`nothing is under ${key}`)
    return stat.version
  }

  async lower(key: string): Promise<void> {
    await this.job.get(key)
    await this.#fillUntil(async () => (await this.job.stat(key))?.tier === this.#tier)
    expect((await this.job.stat(key))?.tier).toBe(this.#tier)
  }

  /** The manifest of a large object stays in RAM; its chunks have to be on the tier. */
  async lowerLarge(bytes: number): Promise<void> {
    await this.#fillUntil(async () => this.bytesBelow() >= bytes)
    if (this.#tier !== 'ram') expect(this.bytesBelow()).toBeGreaterThanOrEqual(bytes)
  }

  bytesBelow(node = this.nodes[0] as RunningNode): number {
    const used = node.node.jobs.get('j-a')?.tiers.used() ?? []
    return [...used].reduce((sum, { tier, bytes }) => sum + (tiers[tier] === this.#tier ? bytes : 0), 0)
  }

  async #fillUntil(isThere: () => Promise<boolean>): Promise<void> {
    if (this.#tier === 'ram') return
    const filler = randomBytes(60_000)
    for (let round = 0; round < 40 && !(await isThere()); round++) {
      const puts = Array.from({ length: 20 }, () => this.job.put(`filler/${this.#fillers++}`, filler))
      await Promise.all(puts)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

describe.each(tiers)('an object whose bytes lie on %s', (tier) => {
  const value = randomBytes(5_000)

  test('is read whole, in part, as a stream and among many, and is known by stat, statMany, exists and list', async (context) => {
    const on = await Tiered.start(tier, context)
    const { job } = on
    await on.put('a', value, { metadata: { kind: 'frame' } })
    expect((await job.get('a')).equals(value)).toBe(true)
    const part = await job.get('a', { range: { start: 100, end: 199 } })
    expect(part.equals(value.subarray(100, 199))).toBe(true)
    expect(Buffer.concat(await (await job.getStream('a')).toArray()).equals(value)).toBe(true)
    const [found, none] = await job.getMany(['a', 'missing'])
    expect(found?.equals(value)).toBe(true)
    expect(none).toBeNull()
    expect(await job.exists('a')).toBe(true)
    const stat = await job.stat('a')
    expect(stat).toMatchObject({ bytes: 5_000, tier, metadata: { kind: 'frame' } })
    expect(await job.statMany(['missing', 'a'])).toEqual([null, stat])
    const listed = []
    for await (const entry of job.list({ prefix: 'a' })) listed.push(entry)
    expect(listed).toEqual([{ key: 'a', bytes: 5_000 }])
  })

  test('is overwritten as its conditions say', async (context) => {
    const on = await Tiered.start(tier, context)
    const { job } = on
    await on.put('a', value)
    const version = await on.versionOf('a')
    await expect(job.put('a', 'x', { ifAbsent: true })).rejects.toMatchObject({ code: 'KEY_EXISTS' })
    expect((await job.get('a')).equals(value)).toBe(true)
    await job.put('a', 'second', { ifVersion: version })
    expect((await job.get('a')).toString()).toBe('second')
    await expect(job.put('a', 'third', { ifVersion: version })).rejects.toMatchObject({
      code: 'VERSION_MISMATCH',
    })
  })

  test('is gone once it was deleted, alone or among many', async (context) => {
    const on = await Tiered.start(tier, context)
    const { job } = on
    await on.put('a', value)
    await on.put('b', value)
    await job.delete('a')
    await job.deleteMany(['b', 'missing'])
    for (const key of ['a', 'b']) await expect(job.get(key)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await job.put('a', 'again', { ifAbsent: true })
    expect((await job.get('a')).toString()).toBe('again')
  })

  test('is gone when its time is over', async (context) => {
    const on = await Tiered.start(tier, context)
    await on.put('a', value, { ttlSeconds: 4 })
    expect((await on.job.get('a')).equals(value)).toBe(true)
    await expect.poll(() => on.job.exists('a'), { interval: 100 }).toBe(false)
    await expect(on.job.get('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('is consumed by exactly one of many', async (context) => {
    const on = await Tiered.start(tier, context)
    await on.put('a', value)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => on.job.get('a', { consume: true })),
    )
    const got = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(got.map((bytes) => bytes.equals(value))).toEqual([true])
    expect(await on.job.exists('a')).toBe(false)
  })

  test('grows by append', async (context) => {
    const on = await Tiered.start(tier, context)
    await on.put('a', value)
    expect(await on.job.append('a', ' and more')).toBe(5_009)
    expect((await on.job.get('a')).equals(Buffer.concat([value, Buffer.from(' and more')]))).toBe(true)
  })

  test('outlives its job where it was put with persist, until it is deleted', async (context) => {
    const on = await Tiered.start(tier, context)
    const name = { job: 'j-a', bucket: 'default', key: 'a' }
    await on.put('a', value, { persist: true })
    expect(await on.job.stat('a')).toMatchObject({ persist: true, tier })
    expect((await on.planes.persisted.get(name, { offset: 0, length: 5_000 })).equals(value)).toBe(true)
    await on.job.put('a', 'second', { persist: true })
    expect((await on.planes.persisted.get(name, { offset: 0, length: 6 })).toString()).toBe('second')
    await on.job.delete('a')
    expect(await on.planes.persisted.stat(name)).toBeNull()
  })

  test('is read, replaced and removed as a whole where it is large', async (context) => {
    const on = await Tiered.start(tier, context)
    const { job } = on
    const large = randomBytes(3 * CHUNK_BYTES + 17)
    await job.putStream('large', Readable.from([large]))
    await job.get('large')
    await on.lowerLarge(large.length)
    expect((await job.get('large')).equals(large)).toBe(true)
    expect(Buffer.concat(await (await job.getStream('large')).toArray()).equals(large)).toBe(true)
    const range = { start: CHUNK_BYTES - 5, end: CHUNK_BYTES + 5 }
    expect((await job.get('large', { range })).equals(large.subarray(range.start, range.end))).toBe(true)
    const other = randomBytes(2 * CHUNK_BYTES)
    await job.put('large', other)
    expect((await job.get('large')).equals(other)).toBe(true)
    await job.delete('large')
    expect(await job.exists('large')).toBe(false)
  })

  test('moves to another node as it is, and its job leaves nothing anywhere', async (context) => {
    const on = await Tiered.start(tier, context, 2)
    const { job, planes, nodes } = on
    const [source, target] = nodes as [RunningNode, RunningNode]
    await on.put('a', value)
    const version = await on.versionOf('a')
    const budget = tier === 'ram' ? 0 : 128 * MIB
    const below = { ssdBytes: tier === 'ssd' ? budget : 0, s3Bytes: tier === 's3' ? budget : 0 }
    const shares = planes
      .shares([source, target], 2 * 64 * MIB)
      .map((share, index) => ({ ...share, ...below, weight: index }))
    await planes.ask(placementOperations.jobShares, { job: 'j-a', readsPerThousand: 1000, shares })
    await expect.poll(() => isSettled(target)).toBe(true)
    expect((await job.get('a')).equals(value)).toBe(true)
    expect(await job.stat('a')).toMatchObject({ version, tier })
    await planes.ask(placementOperations.jobEnd, { job: 'j-a' })
    for (const { node } of nodes) {
      expect(node.ram.usedBytes).toBe(0)
      expect(node.lower.map(({ budget }) => budget.usedBytes)).toEqual(node.lower.map(() => 0))
    }
  })
})

/** Whether the node has all slots of the job, with all of their bytes. */
function isSettled({ node }: RunningNode): boolean {
  const job = node.jobs.get('j-a')
  if (job === undefined) return false
  const slots = Array.from({ length: job.owned.count }, (_, index) => index)
  return slots.every((index) => job.owned.owns(index) && job.slots[index]?.isComplete !== false)
}
