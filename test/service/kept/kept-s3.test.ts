import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { KeptS3 } from '../../../service/kept/kept-s3.ts'
import { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import type { S3Settings } from '../../../service/s3/s3-settings.ts'
import { sharedS3 } from '../../fixture/s3.ts'
import { keptContract } from './kept-contract.ts'

const startS3 = sharedS3()
const { clock } = systemRuntime

function openBucket(settings: S3Settings): S3Bucket {
  const bucket = new S3Bucket(settings, clock)
  onTestFinished(() => bucket.close())
  return bucket
}

keptContract('on S3', async (context) => {
  const settings = await startS3(context)
  return async (virtualClock) => new KeptS3(openBucket(settings), virtualClock)
})

test('an object is a plain one under job, bucket and key', async (context) => {
  const bucket = openBucket(await startS3(context))
  async function* once(): AsyncGenerator<Buffer> {
    yield Buffer.from('plain')
  }
  const name = { job: 'j-a', bucket: 'out', key: 'x/y.txt' }
  await new KeptS3(bucket, clock).put(name, { bytes: 5, expiresAtMs: 0, about: Buffer.alloc(0) }, once())
  expect((await bucket.get('kept/j-a/out/x/y.txt')).toString()).toBe('plain')
})
