import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { Cluster } from '../fixture/mayfly-up.ts'
import { keysIn, sharedS3 } from '../fixture/s3.ts'

const MIB = 1024 * 1024
const startS3 = sharedS3()

interface JobView {
  readonly usage: { readonly bytes: { readonly ram: number; readonly ssd: number; readonly s3: number } }
}

test('a job larger than RAM and SSD of the whole cluster has the rest on S3, reads all of it, and leaves nothing in the bucket', async (context) => {
  const s3 = await startS3(context)
  const keys = keysIn(s3)
  const cluster = await Cluster.startSmall({ ramBytes: 16 * MIB, ssdBytes: 16 * MIB, nodesMax: 1 }, { s3 })
  const mayfly = await cluster.connect()
  const hints = { capacityBytes: 96 * MIB, peakBytesPerSecond: 1e8 }
  await expect(mayfly.registerJob('within 10 ms', { ...hints, latencyMs: 10 })).rejects.toMatchObject({
    code: 'RESERVATION_REFUSED',
  })
  const registered = await mayfly.registerJob('within 250 ms', { ...hints, latencyMs: 250 })
  expect(registered.reservation.bytes.s3).toBeGreaterThan(48 * MIB)
  const job = await openJob(registered.ticket)
  const contents = new Map(Array.from({ length: 800 }, (_, index) => [`k/${index}`, randomBytes(100_000)]))
  for (const [key, bytes] of contents) await job.put(key, bytes)
  const large = randomBytes(7 * MIB + 3)
  await job.put('large', large)

  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes), key).toBe(true)
  expect((await job.get('large')).equals(large)).toBe(true)
  expect((await keys()).every((key) => key.startsWith(`ephemeral/${registered.id}/`))).toBe(true)
  expect((await keys()).length).toBeGreaterThan(100)
  await expect
    .poll(async () => (await cluster.api<JobView>(`/v1/jobs/${registered.id}`)).usage.bytes.s3, {
      timeout: 30_000,
    })
    .toBeGreaterThan(32 * MIB)

  await job.close()
  await registered.deregister()
  await expect.poll(keys).toEqual([])
  await cluster.stop()
})
