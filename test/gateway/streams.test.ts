import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { Cluster } from '../fixture/mayfly-up.ts'
import { clientOf } from './support/s3-servers.ts'

const MIB = 2 ** 20
const STREAMS = 24
const OBJECT_BYTES = 40 * MIB

/** The largest memory that a process has had. */
async function peakBytes(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

test('24 streams of 40 MiB in each direction at once cost the gateway a bounded memory', async () => {
  const cluster = await Cluster.start()
  const job = await (await cluster.connect()).registerJob('streams', { capacityBytes: 2.5 * 2 ** 30 })
  onTestFinished(() => job.close())
  const s3 = clientOf({ region: 'mayfly', ...(await job.s3Credentials()) })
  onTestFinished(() => s3.destroy())
  const gateway = (await cluster.processes()).find(({ plane }) => plane === 'gateway')?.pid ?? 0
  const piece = randomBytes(MIB)
  const put = (Key: string) => {
    const Body = Readable.from(Array.from({ length: OBJECT_BYTES / MIB }, () => piece))
    return s3.send(new PutObjectCommand({ Bucket: 'default', Key, Body, ContentLength: OBJECT_BYTES }))
  }
  const hashOf = async (Key: string): Promise<string> => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'default', Key }))
    const hash = createHash('sha1')
    for await (const bytes of Body as Readable) hash.update(bytes)
    return hash.digest('hex')
  }
  const hash = createHash('sha1')
  for (let index = 0; index < OBJECT_BYTES / MIB; index++) hash.update(piece)
  const expected = hash.digest('hex')
  const all = Array.from({ length: STREAMS }, (_, index) => `former/${index}`)
  await Promise.all(all.map(put))
  const [hashes] = await Promise.all([
    Promise.all(all.map(hashOf)),
    Promise.all(all.map((key) => put(key.replace('former', 'latter')))),
  ])
  expect(new Set(hashes)).toEqual(new Set([expected]))
  // The objects are 1,920 MiB. Windows of the SDK are 64 MiB in each direction, and a stream holds 2 MiB of its own.
  expect(await peakBytes(gateway)).toBeLessThan(600 * MIB)
})
