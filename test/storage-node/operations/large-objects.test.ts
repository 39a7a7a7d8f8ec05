import { expect, test } from 'vitest'
import { MANIFEST_RUNS_MAX, READ_LEASE_MS } from '../../../protocol/limits.ts'
import { manifestBytes } from '../../../protocol/model/manifest.ts'
import { SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import type { Clock } from '../../../protocol/runtime.ts'
import { takeOver } from '../../../storage-node/handoff/target.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import { locate } from '../../../storage-node/job/locate.ts'
import { ObjectTable } from '../../../storage-node/job/object-table.ts'
import { PUT_LEASE_MS } from '../../../storage-node/limits.ts'
import { LargeObjects } from '../../../storage-node/operations/large-objects.ts'
import { Slot } from '../../../storage-node/slot/slot.ts'
import { objectBytes, type StoredObject } from '../../../storage-node/slot/stored-object.ts'
import { Demoter } from '../../../storage-node/tiering/demoter.ts'
import { LowerReads } from '../../../storage-node/tiering/lower-reads.ts'
import { RAM } from '../../../storage-node/tiers/job-tiers.ts'
import { background } from '../../fixture/background.ts'
import { newJob } from '../support/space.ts'

const at = { epoch: 1, bucket: 0, key: Buffer.from('k'), lane: 0, sequence: 0, condition: 0, ifVersion: 0 }
const manifest = [{ count: 2, chunkBytes: 10 }]

/** One slot on a virtual clock. */
function start() {
  let nowMs = 1000
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after: () => ({ cancel: () => undefined, unref: () => undefined }),
  }
  const lease = { untilMs: Number.POSITIVE_INFINITY }
  const job = newJob({ clock, lease })
  job.setBudgets(new Map([[RAM, { reservedBytes: 1e6, bytesMax: 1e6 }]]))
  takeOver(job, { index: 0, epoch: 1, lost: false, origin: SlotOrigin.fresh, source: '' })
  const demotion = new Demoter(clock, background)
  const below = new LowerReads(demotion, clock)
  const table = new ObjectTable(clock)
  const large = new LargeObjects(table, {
    clock,
    fetch: () => Promise.resolve(),
    readPersisted: () => Promise.resolve(null),
    lowerReads: below,
  })
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { job, large, table, lease, pass }
}

test('I11: a commit whose lease lapsed is PUT_EXPIRED, for its chunks may be gone', () => {
  const { job, large, pass } = start()
  const { version } = large.begin(job, at)
  expect(large.isAlive(job, { ...at, version })).toBe(true)
  pass(PUT_LEASE_MS)
  expect(large.isAlive(job, { ...at, version })).toBe(false)
  expect(() =>
    large.commit(job, { ...at, version, manifest, ttlSeconds: 0, metadata: [], keptBucket: '' }),
  ).toThrow('not being put')
})

test('a put that renews its lease commits after any time, and its chunks are wanted as long as its object is there', () => {
  const { job, large, pass } = start()
  const { version } = large.begin(job, at)
  for (let i = 0; i < 5; i++) {
    pass(PUT_LEASE_MS / 2)
    large.renew(job, { ...at, version })
  }
  large.commit(job, { ...at, version, manifest, ttlSeconds: 0, metadata: [], keptBucket: '' })
  pass(10 * PUT_LEASE_MS)
  expect(large.isAlive(job, { ...at, version })).toBe(true)
  const second = large.begin(job, at).version
  large.commit(job, { ...at, version: second, manifest, ttlSeconds: 0, metadata: [], keptBucket: '' })
  expect(large.isAlive(job, { ...at, version })).toBe(false)
})

/** Puts an object of two chunks, and returns its version. */
function putTwoChunks({ job, large }: Pick<ReturnType<typeof start>, 'job' | 'large'>): number {
  const { version } = large.begin(job, at)
  for (const index of [0, 1]) large.putChunk(job, { ...at, version, index, checksum: null }, Buffer.alloc(10))
  large.commit(job, { ...at, version, manifest, ttlSeconds: 0, metadata: [], keptBucket: '' })
  return version
}

function versionsWithChunks(job: NodeJob): number[] {
  return [...(job.slots[0]?.chunks.groups.values() ?? [])].map(({ version }) => version)
}

test('I11: chunks of what is overwritten or deleted are freed with it, unless somebody reads them or the slot may be another node’s', () => {
  const { job, large, table, lease, pass } = start()
  const place = locate(job, at)
  const remove = (): void => {
    const object = table.find(job, place)
    if (object !== undefined) table.remove(job, place, object)
  }
  putTwoChunks({ job, large })
  const second = putTwoChunks({ job, large })
  expect(versionsWithChunks(job)).toEqual([second])
  const usedBytes = job.usedBytes
  large.renewRead(job, { ...at, version: second, lease: 1 })
  const third = putTwoChunks({ job, large })
  expect(versionsWithChunks(job)).toEqual([second, third])
  pass(READ_LEASE_MS)
  remove()
  expect(versionsWithChunks(job)).toEqual([second])
  expect(large.isAlive(job, { ...at, version: second })).toBe(false)
  expect(job.usedBytes).toBeLessThan(usedBytes)
  const fourth = putTwoChunks({ job, large })
  lease.untilMs = 0
  job.runAdmitted(remove)
  expect(versionsWithChunks(job)).toEqual([second, fourth])
})

test('I11: chunks of what was replaced while it was read are freed when the last reader is done, and a reader that ends twice ends nobody else’s lease', () => {
  const { job, large, pass } = start()
  const version = putTwoChunks({ job, large })
  for (const lease of [1, 2]) large.renewRead(job, { ...at, version, lease })
  const second = putTwoChunks({ job, large })
  for (const _ of [1, 2]) large.endRead(job, { ...at, version, lease: 1 })
  expect(versionsWithChunks(job)).toEqual([version, second])
  expect(large.isAlive(job, { ...at, version })).toBe(true)
  large.endRead(job, { ...at, version, lease: 2 })
  expect(versionsWithChunks(job)).toEqual([second])
  large.renewRead(job, { ...at, version: second, lease: 3 })
  large.endRead(job, { ...at, version: second, lease: 3 })
  expect(versionsWithChunks(job)).toEqual([second])
  large.renewRead(job, { ...at, version: second, lease: 4 })
  pass(READ_LEASE_MS)
  expect(large.isAlive(job, { ...at, version: second })).toBe(true)
})

test('I10: no version is given twice, also not by the next owner of the slot', () => {
  const versions = new Set<number>()
  const { job } = start()
  for (const epoch of [1, 2, 7]) {
    const slot = new Slot(job, { epoch, mayHaveLost: false })
    for (let i = 0; i < 100; i++) versions.add(slot.nextVersion())
  }
  expect(versions.size).toBe(300)
  expect([...versions].every(Number.isSafeInteger)).toBe(true)
})

test('to tell how long an object is costs the same, however many runs its manifest has', () => {
  const { job, large, table } = start()
  const runs = Array.from({ length: MANIFEST_RUNS_MAX }, (_, index) => ({
    count: 1,
    chunkBytes: 1 + (index % 2),
  }))
  const timesMs = [manifest, runs].map((each, index) => {
    const place = { ...at, key: Buffer.from(`k${index}`) }
    const { version } = large.begin(job, place)
    large.commit(job, { ...place, version, manifest: each, ttlSeconds: 0, metadata: [], keptBucket: '' })
    const bytes = manifestBytes(each)
    const rounds = Array.from({ length: 10 }, () => {
      const beganMs = performance.now()
      let sum = 0
      for (let times = 0; times < 200; times++) {
        const object = table.find(job, locate(job, place)) as StoredObject
        sum += objectBytes(job.memory, object)
      }
      const tookMs = performance.now() - beganMs
      expect(sum).toBe(200 * bytes)
      return tookMs
    })
    return Math.min(...rounds)
  })
  const [few = 0, many = 0] = timesMs
  // It took a hundred times as long when the runs were added up.
  expect(many).toBeLessThan(10 * few + 1)
})
