import { randomBytes } from 'node:crypto'
import { GetBucketLifecycleConfigurationCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { ensureLifecycleRule } from '../../../service/s3/lifecycle-rule.ts'
import { upload } from '../../../service/s3/multipart.ts'
import { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { S3_EPHEMERAL_DAYS_MAX, S3_FAILURES_MAX, S3_PART_BYTES } from '../../../service/s3/s3-limits.ts'
import type { S3Settings } from '../../../service/s3/s3-settings.ts'
import { sharedS3, startFaults } from '../../fixture/s3.ts'

const startS3 = sharedS3()

function open(settings: S3Settings): S3Bucket {
  const bucket = new S3Bucket(settings, systemRuntime.clock)
  onTestFinished(() => bucket.close())
  return bucket
}

async function* piecesOf(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

test('the check passes where the bucket can be used', async (context) => {
  await open(await startS3(context)).check()
})

test.for([
  [
    'a wrong secret',
    { secretAccessKey: 'wrong-wrong-wrong' },
    'FORBIDDEN',
    /accessKeyId and secretAccessKey/,
  ],
  ['an unknown key', { accessKeyId: 'nobody' }, 'FORBIDDEN', /accessKeyId and secretAccessKey/],
  ['a bucket that is missing', { bucket: 'not-there' }, 'BAD_REQUEST', /'not-there' .* does not exist/],
  ['an endpoint that is not there', { endpoint: 'http://127.0.0.1:1' }, 'UNAVAILABLE', /cannot be reached/],
] as const)('the check names %s in one line', async ([, wrong, code, message], context) => {
  const checking = open({ ...(await startS3(context)), ...wrong }).check()
  await expect(checking).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  await expect(checking).rejects.toMatchObject({ message: expect.not.stringContaining('\n') })
})

test('a large object goes up in parts, out of pieces of any length, and is read in ranges', async (context) => {
  const bucket = open(await startS3(context))
  const bytes = randomBytes(2 * S3_PART_BYTES + 12_345)
  await upload(bucket, { key: 'large', bytes: bytes.length }, piecesOf(bytes, 1_000_003))
  expect((await bucket.get('large')).equals(bytes)).toBe(true)
  const range = { offset: S3_PART_BYTES - 10, length: 20 }
  expect(await bucket.get('large', range)).toEqual(bytes.subarray(range.offset, range.offset + 20))
})

test('an upload whose source fails leaves neither an object nor parts', async (context) => {
  const bucket = open(await startS3(context))
  async function* broken(): AsyncGenerator<Buffer> {
    yield randomBytes(S3_PART_BYTES + 5)
    throw new Error('the source broke')
  }
  await expect(upload(bucket, { key: 'half', bytes: 3 * S3_PART_BYTES }, broken())).rejects.toThrow('broke')
  expect(await bucket.head('half')).toBeNull()
  const { Uploads = [] } = await bucket.send((client, options) =>
    client.send(new ListMultipartUploadsCommand({ Bucket: bucket.name }), options),
  )
  expect(Uploads).toEqual([])
})

test('an upload that gets fewer bytes than were announced fails', async (context) => {
  const bucket = open(await startS3(context))
  const bytes = randomBytes(S3_PART_BYTES + 5)
  for (const announced of [bytes.length + 1, 100 * S3_PART_BYTES]) {
    const uploading = upload(bucket, { key: 'short', bytes: announced }, piecesOf(bytes, 2 ** 20))
    await expect(uploading).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  }
  expect(await bucket.head('short')).toBeNull()
})

test('a prefix with more keys than one deletion takes is removed, and no key beside it', async (context) => {
  const bucket = open(await startS3(context))
  await bucket.put('jobs/a2', Buffer.from('stays'))
  for (let from = 0; from < 1_050; from += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => bucket.put(`jobs/a/${from + index}`, Buffer.from('x'))),
    )
  await bucket.deletePrefix('jobs/a/')
  expect(
    (await bucket.list({ prefix: 'jobs/', after: null, limit: 10 })).entries.map(({ key }) => key),
  ).toEqual(['jobs/a2'])
})

test('the lifecycle rule is written once, and the rules of others stay', async (context) => {
  const bucket = open(await startS3(context))
  await ensureLifecycleRule(bucket, 'ephemeral/')
  await ensureLifecycleRule(bucket, 'ephemeral/')
  const { Rules = [] } = await bucket.send((client, options) =>
    client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket.name }), options),
  )
  expect(Rules).toMatchObject([
    { ID: 'mayfly-ephemeral', Status: 'Enabled', Expiration: { Days: S3_EPHEMERAL_DAYS_MAX } },
  ])
})

test('a request that is answered 503 once is repeated and not seen', async (context) => {
  const faults = await startFaults(await startS3(context))
  const bucket = open(faults.settings)
  Object.assign(faults, { refuse: ['PUT'], refusals: 1 })
  await bucket.put('k', Buffer.from('v'))
  expect(faults.requests).toBe(2)
  expect((await bucket.get('k')).toString()).toBe('v')
})

test('an endpoint that keeps answering 503 is UNAVAILABLE, and after a while is not asked any more', async (context) => {
  const faults = await startFaults(await startS3(context))
  const bucket = open(faults.settings)
  faults.refuse = ['GET']
  for (let call = 0; call < S3_FAILURES_MAX; call++)
    await expect(bucket.get('k')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('503'),
    })
  const asked = faults.requests
  await expect(bucket.get('k')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(faults.requests).toBe(asked)
  expect(bucket.down).toBe(true)
})

test('an endpoint that is slow is waited for', async (context) => {
  const faults = await startFaults(await startS3(context))
  const bucket = open(faults.settings)
  faults.delayMs = 300
  await bucket.put('k', Buffer.from('v'))
  expect((await bucket.get('k')).toString()).toBe('v')
})
