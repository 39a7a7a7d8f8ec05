import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import { PUT_BYTES_MAX } from '../limits.ts'
import { putCondition } from './conditions.ts'
import { attributesOf, checksumHeaders, quote, ttlOf } from './object-record.ts'
import { store } from './store.ts'

export async function putObject(exchange: Exchange): Promise<void> {
  const { body, bucket, key, signal, job, chunks } = exchange
  if (body.length > PUT_BYTES_MAX) throw new S3Error('EntityTooLarge')
  const attributes = attributesOf(exchange)
  ttlOf(attributes)
  const condition = await putCondition(exchange, exchange)
  const { etag, checksum } = await store(job, {
    bucket,
    key,
    bytes: body.length,
    source: () => body.stream(),
    verified: () => body.verified,
    attributes,
    condition,
    nowMs: exchange.nowMs,
    signal,
    chunks,
  })
  exchange.send(200, { etag: quote(etag), ...checksumHeaders(checksum), 'content-length': 0 })
}
