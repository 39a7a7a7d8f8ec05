import { expect, test } from 'vitest'
import { livingBuckets, withBucket, withoutBucket } from '../../metadata/decide/decisions.ts'
import { encodeRecord, newRecord } from '../../metadata/decide/job-record.ts'
import { BUCKETS_MAX } from '../../protocol/limits.ts'
import { parseTicket } from '../../protocol/model/ticket.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { startOwnTime } from '../fixture/own-time.ts'
import { open, Planes, type RunningNode } from '../fixture/planes.ts'

const { clock } = systemRuntime
let requests = 0
/** A client's request for a new bucket id. */
function request(): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(++requests)
  return bytes
}

/** Puts into a bucket of any id, once or with retries; the SDK would not do this. */
function putter(ticket: string, node: RunningNode) {
  const pool = new CallerPool({
    dial: dialTcp,
    runtime: systemRuntime,
    token: () => parseTicket(ticket).token,
  })
  let sequence = 0
  const put = async (bucket: number) => {
    const caller = await pool.to(node.address)
    const at = { epoch: 1, bucket, key: Buffer.from('k'), condition: 0, ifVersion: 0 }
    const rest = {
      lane: 0,
      sequence: ++sequence,
      ttlSeconds: 0,
      metadata: [],
      checksum: null,
      keptBucket: '',
    }
    const deadlineMs = clock.monotonicMs() + 5_000
    await caller.call(dataOperations.put, { ...at, ...rest }, { deadlineMs, payload: Buffer.from('x') })
  }
  const putAgain = async (bucket: number): Promise<string> => {
    for (let attempt = 0; attempt < 50; attempt++) {
      const code = await put(bucket).then(
        () => 'stored',
        (error: { code: string }) => error.code,
      )
      if (code !== 'UNAVAILABLE') return code
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return 'UNAVAILABLE'
  }
  return { put, putAgain, close: () => pool.close() }
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number
}

test('a write into a bucket that never was, or was deleted, is BUCKET_NOT_FOUND, whatever its id', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const job = await open(ticket)
  const raw = putter(ticket, node)
  expect(await raw.putAgain(4_711)).toBe('BUCKET_NOT_FOUND')
  await job.createBucket('out')
  expect(await raw.putAgain(1)).toBe('stored')
  expect(await raw.putAgain(2)).toBe('BUCKET_NOT_FOUND')
  await job.deleteBucket('out')
  await expect(raw.put(1)).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' })
  await expect(job.list({ bucket: 'out' }).next()).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' })
  expect(node.node.requireJob('j-1').objects).toBe(0)
  raw.close()
})

test('a put goes into a bucket at once when its creation was answered, also on a node that did not hear of it', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const job = await open(ticket)
  const raw = putter(ticket, node)
  expect(await raw.putAgain(1)).toBe('BUCKET_NOT_FOUND')
  // Metadata sends the node no message by itself, but the node can ask.
  const space = node.node.requireJob('j-1')
  const learn = space.applyBuckets.bind(space)
  let isDeaf = true
  space.applyBuckets = (word) => {
    if (!isDeaf) learn(word)
  }
  const created = job.createBucket('out')
  await created
  isDeaf = false
  await new Promise((resolve) => setTimeout(resolve, 600))
  await job.put('k', 'value', { bucket: 'out' })
  expect((await job.get('k', { bucket: 'out' })).toString()).toBe('value')
  raw.close()
})

test('what metadata writes down and tells of buckets goes by those that live, however many there were', () => {
  let record = newRecord('j-1', 4)
  const bytes = encodeRecord(record).length
  for (let round = 0; round < 3_000; round++) {
    record = withBucket(record, 'b', request())
    record = withoutBucket(record, 'b', request())
  }
  record = { ...record, bucketRequests: [] }
  expect(livingBuckets(record)).toEqual({ next: 3_001, living: [{ first: 0, count: 1 }] })
  expect(encodeRecord(record).length).toBe(bytes)
  for (let index = 1; index < BUCKETS_MAX; index++) record = withBucket(record, `b${index}`, request())
  expect(() => withBucket(record, 'one more', request())).toThrow('delete one that is not needed')
  expect(livingBuckets(withoutBucket(record, 'b7', request())).living).toEqual([
    { first: 0, count: 1 },
    { first: 3_001, count: 6 },
    { first: 3_008, count: BUCKETS_MAX - 8 },
  ])
})

test('after buckets that come and go, in a job that keeps objects, a node hears of the next change as fast as of the first', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const job = await open(await planes.createJob('j-1', [node], { slots: 1024 }))
  await job.put('kept', 'value', { persist: true })
  const round = async (name = 'b'): Promise<number> => {
    const before = process.cpuUsage()
    await job.createBucket(name)
    await job.put('k', 'value', { bucket: name })
    await job.deleteBucket(name)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  }
  const rounds = async (count: number): Promise<number[]> => {
    const ms: number[] = []
    while (ms.length < count) ms.push(await round())
    return ms
  }
  await rounds(25)
  const early = medianOf(await rounds(40))
  for (let batch = 0; batch < 14; batch++)
    await Promise.all(Array.from({ length: 50 }, (_, index) => round(`b${index}`)))
  const late = medianOf(await rounds(40))
  const space = node.node.requireJob('j-1')
  expect(space.objects).toBe(1)
  expect(space.buckets.isDeleted(805)).toBe(true)
  // Time of the core, so that other work of the machine does not count. Metadata remembers the last 1,024 requests for buckets, so a late round takes
  // 3 times as long as an early one; when each walked through all slots for every bucket ever deleted, it took 12 times as long.
  expect(late).toBeLessThan(6 * early)
  await planes.ask(placementOperations.jobEnd, { job: 'j-1' })
})

test('a job that creates many buckets at once keeps no other one waiting', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const busy = await open(await planes.createJob('j-1', [node]))
  const other = await open(await planes.createJob('j-2', [node]))
  const creating = Promise.all(Array.from({ length: 900 }, (_, index) => busy.createBucket(`b${index}`)))
  const ownMs = startOwnTime()
  let isOver = false
  void creating.finally(() => {
    isOver = true
  })
  const waits: number[] = []
  while (!isOver) {
    const askedMs = ownMs()
    await other.buckets()
    waits.push(ownMs() - askedMs)
  }
  await creating
  expect(waits.length).toBeGreaterThan(5)
  expect(medianOf(waits)).toBeLessThan(100)
  expect(await busy.buckets()).toHaveLength(901)
})
