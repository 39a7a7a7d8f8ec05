import { isError } from '../../protocol/errors.ts'
import { DEFAULT_BUCKET } from '../../protocol/model/keys.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import { parseXml } from '../http/xml.ts'
import { XML_BYTES_MAX } from '../limits.ts'
import { bucketNames, requireBucket } from '../listing/bucket-names.ts'
import { ownerOf } from '../listing/rows.ts'
import { removeUploadsOf } from '../uploads/upload-store.ts'

/** The region that answers name. Requests may name any region. */
const REGION = 'us-east-1'

/** Buckets have no creation time; the time of the job's registration is used. */
export async function listBuckets(exchange: Exchange): Promise<void> {
  const { open } = exchange
  const createdAt = open.createdAt.toISOString()
  const prefix = exchange.parameter('prefix') ?? ''
  const names = (await bucketNames(exchange)).filter((name) => name.startsWith(prefix)).sort()
  exchange.sendXml('ListAllMyBucketsResult', [
    ['Owner', ownerOf(exchange)],
    [
      'Buckets',
      names.map(
        (name) =>
          [
            'Bucket',
            [
              ['Name', name],
              ['CreationDate', createdAt],
              ['BucketRegion', REGION],
            ],
          ] as const,
      ),
    ],
    ['Prefix', prefix === '' ? undefined : prefix],
  ])
}

export async function createBucket(exchange: Exchange): Promise<void> {
  const { bucket, job, signal, body } = exchange
  // As S3: names that are host names as well, so that they work in virtual-host style.
  if (
    !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) ||
    /^\d+(\.\d+){3}$/.test(bucket) ||
    bucket.includes('..')
  )
    throw new S3Error('InvalidBucketName')
  const hasBody = exchange.request.headers.has('content-length') && body.length > 0
  if (hasBody && body.length > XML_BYTES_MAX) throw new S3Error('MalformedXML')
  // Any region will do.
  if (hasBody) parseXml(await body.all(), 'CreateBucketConfiguration')
  await job.createBucket(bucket, { signal })
  exchange.send(200, { location: `/${bucket}`, 'content-length': 0 })
}

export async function headBucket(exchange: Exchange): Promise<void> {
  await requireBucket(exchange)
  exchange.send(200, { 'x-amz-bucket-region': REGION, 'content-length': 0 })
}

/**
 * As in S3, only an empty bucket is deleted. Mayfly deletes a bucket with its objects, so an object that is put between the check and the
 * deletion is deleted too.
 */
export async function deleteBucket(exchange: Exchange): Promise<void> {
  const { bucket, job, signal } = exchange
  await requireBucket(exchange)
  if (bucket === DEFAULT_BUCKET)
    throw new S3Error('AccessDenied', `The bucket '${DEFAULT_BUCKET}' is in every job and cannot be deleted`)
  for await (const _ of job.list({ bucket, signal, limit: 1 })) throw new S3Error('BucketNotEmpty')
  await removeUploadsOf(exchange)
  try {
    await job.deleteBucket(bucket, { signal })
  } catch (error) {
    // A repetition of a request whose answer was lost.
    if (!isError(error, 'BUCKET_NOT_FOUND')) throw error
  }
  exchange.send(204)
}

export async function getBucketLocation(exchange: Exchange): Promise<void> {
  await requireBucket(exchange)
  // An empty constraint is us-east-1.
  exchange.sendXml('LocationConstraint', '')
}

/** As of a bucket whose versioning was never enabled. */
export async function getBucketVersioning(exchange: Exchange): Promise<void> {
  await requireBucket(exchange)
  exchange.sendXml('VersioningConfiguration', '')
}
