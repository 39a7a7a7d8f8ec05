import { checkBucketName } from '../../protocol/model/keys.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'

/** The bucket of every job that holds its uploads and their parts. No bucket of S3 can have its name. */
export const UPLOADS_BUCKET = 'S3_uploads'

/** Throws `InvalidBucketName`, and `NoSuchBucket` for the bucket that holds uploads. */
export function checkBucket(bucket: string): void {
  if (bucket === UPLOADS_BUCKET) throw new S3Error('NoSuchBucket')
  try {
    checkBucketName(bucket)
  } catch (cause) {
    throw new S3Error('InvalidBucketName', undefined, { cause })
  }
}

export async function bucketNames({ job, signal }: Exchange): Promise<string[]> {
  return (await job.buckets({ signal })).filter((name) => name !== UPLOADS_BUCKET)
}

/** Throws `NoSuchBucket`. */
export async function requireBucket(exchange: Exchange): Promise<void> {
  if (!(await bucketNames(exchange)).includes(exchange.bucket)) throw new S3Error('NoSuchBucket')
}
