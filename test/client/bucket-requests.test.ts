import { expect, onTestFinished, test } from 'vitest'
import { withBucket, withoutBucket } from '../../metadata/decide/decisions.ts'
import { newRecord } from '../../metadata/decide/job-record.ts'
import { BUCKET_REQUESTS_RETAINED_MAX, REQUEST_ID_BYTES } from '../../protocol/limits.ts'
import { formatTicket, parseTicket } from '../../protocol/model/ticket.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { startLosing } from '../fixture/losing-proxy.ts'
import { open, Planes } from '../fixture/planes.ts'

async function startJob() {
  const planes = await Planes.start()
  const ticket = await planes.createJob('j-buckets', [await planes.startNode()])
  return { planes, ticket }
}

test('createBucket and deleteBucket whose answer was lost succeed once', async () => {
  const { ticket } = await startJob()
  const parts = parseTicket(ticket)
  const proxy = await startLosing(parts.metadata)
  const job = await open(formatTicket({ ...parts, metadata: proxy.address }))
  await job.buckets()
  proxy.loseAnswer()
  await job.createBucket('frames')
  expect(await job.buckets()).toEqual(['default', 'frames'])
  await job.put('k', 'value', { bucket: 'frames' })
  proxy.loseAnswer()
  await job.deleteBucket('frames')
  expect(await job.buckets()).toEqual(['default'])
})

test('another call is not taken for a repetition', async () => {
  const { ticket } = await startJob()
  const job = await open(ticket)
  await job.createBucket('frames')
  await expect(job.createBucket('frames')).rejects.toMatchObject({ code: 'BUCKET_EXISTS' })
  await job.deleteBucket('frames')
  await expect(job.deleteBucket('frames')).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' })
})

test('a repetition gets the first answer, whatever became of the bucket meanwhile', async () => {
  const { ticket } = await startJob()
  const { metadata, token } = parseTicket(ticket)
  const pool = new CallerPool({ dial: dialTcp, runtime: systemRuntime, token: () => token })
  onTestFinished(() => pool.close())
  const { bucketCreate, bucketDelete } = metadataOperations
  const bounds = () => ({ deadlineMs: performance.now() + 10_000 })
  const caller = await pool.to(metadata)
  const [first, second, third] = [1, 2, 3].map((byte) => Buffer.alloc(REQUEST_ID_BYTES, byte)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const create = async (request: Uint8Array) =>
    (await caller.call(bucketCreate, { name: 'b', request }, bounds())).head.id
  const id = await create(first)
  await caller.call(bucketDelete, { name: 'b', request: second }, bounds())
  const anew = await create(third)
  expect(anew).not.toBe(id)
  await caller.call(bucketDelete, { name: 'b', request: second }, bounds())
  expect([await create(first), await create(third)]).toEqual([id, anew])
  await expect(caller.call(bucketCreate, { name: 'c', request: Buffer.alloc(3) }, bounds())).rejects.toThrow(
    'request: it has 3 bytes, not 16',
  )
})

test('what is remembered of requests is bounded', () => {
  let record = newRecord('j', 4)
  for (let call = 0; call < BUCKET_REQUESTS_RETAINED_MAX; call++) {
    const request = Buffer.alloc(REQUEST_ID_BYTES)
    request.writeUInt32LE(2 * call)
    record = withBucket(record, 'b', request)
    request.writeUInt32LE(2 * call + 1)
    record = withoutBucket(record, 'b', request)
  }
  expect(record.bucketRequests).toHaveLength(BUCKET_REQUESTS_RETAINED_MAX)
})
