import { type ChecksumAlgorithm, isLinear } from '../http/digests.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import { algorithmIn, attributesOf, ttlOf } from '../objects/object-record.ts'
import { UploadStore } from './upload-store.ts'

export async function createMultipartUpload(exchange: Exchange): Promise<void> {
  const { bucket, key, job, signal, nowMs } = exchange
  const attributes = attributesOf(exchange)
  ttlOf(attributes)
  const algorithm = algorithmIn(exchange)
  const checksumType = typeIn(exchange, algorithm)
  // Whether the bucket exists, and the key can be one.
  await job.stat(key, { bucket, signal })
  const id = await new UploadStore(exchange).create({
    key,
    initiatedMs: nowMs,
    attributes,
    algorithm,
    checksumType,
    state: { is: 'open' },
  })
  const headers =
    algorithm === null ? {} : { 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': checksumType }
  exchange.sendXml(
    'InitiateMultipartUploadResult',
    [
      ['Bucket', bucket],
      ['Key', key],
      ['UploadId', id],
    ],
    headers,
  )
}

function typeIn(exchange: Exchange, algorithm: ChecksumAlgorithm | null): 'COMPOSITE' | 'FULL_OBJECT' {
  const type =
    exchange.header('x-amz-checksum-type') ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')
  const isPossible =
    (type === 'COMPOSITE' && algorithm !== 'CRC64NVME') ||
    (type === 'FULL_OBJECT' && (algorithm === null || isLinear(algorithm)))
  if (isPossible) return type
  throw new S3Error(
    'InvalidRequest',
    `The ${type} checksum type cannot be used with the ${algorithm} checksum algorithm.`,
  )
}
