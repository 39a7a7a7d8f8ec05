import type { Verified } from '../http/body.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import type { Node } from '../http/xml.ts'
import { PARTS_MAX, PUT_BYTES_MAX } from '../limits.ts'
import { UPLOADS_BUCKET } from '../listing/bucket-names.ts'
import { statAll } from '../listing/list-objects.ts'
import { maxOf, ownerOf } from '../listing/rows.ts'
import { copyRangeOf } from '../objects/byte-range.ts'
import { CopyReading, sourceIn, sourceOf } from '../objects/copy.ts'
import {
  checksumHeaders,
  checksumNodes,
  type ObjectRecord,
  quote,
  type S3Object,
} from '../objects/object-record.ts'
import { store } from '../objects/store.ts'
import { isUnfinished, partKey, type Upload, UploadStore } from './upload-store.ts'

/** The content of a part. */
interface PartSource {
  readonly bytes: number
  readonly source: () => AsyncIterable<Buffer>
  readonly verified: () => Pick<Verified, 'md5' | 'checksum'>
}

export async function uploadPart(exchange: Exchange): Promise<void> {
  const { body } = exchange
  if (body.length > PUT_BYTES_MAX) throw new S3Error('EntityTooLarge')
  const upload = await uploadOf(exchange)
  const { etag, checksum } = await storePart(exchange, upload, {
    bytes: body.length,
    source: () => body.stream(upload.algorithm),
    verified: () => body.verified,
  })
  exchange.send(200, { etag: quote(etag), ...checksumHeaders(checksum), 'content-length': 0 })
}

export async function uploadPartCopy(exchange: Exchange): Promise<void> {
  const upload = await uploadOf(exchange)
  const source = sourceIn(exchange)
  const object = await sourceOf(exchange, source)
  const range = copyRangeOf(exchange.header('x-amz-copy-source-range'), object.bytes) ?? {
    start: 0,
    end: object.bytes,
  }
  if (range.end - range.start > PUT_BYTES_MAX) throw new S3Error('EntityTooLarge')
  const reading = new CopyReading(exchange, { source, object, algorithm: upload.algorithm })
  const { etag, checksum, modifiedMs } = await storePart(exchange, upload, {
    bytes: range.end - range.start,
    source: () => reading.stream(range),
    verified: () => reading.verified,
  })
  const modified = new Date(modifiedMs).toISOString()
  exchange.sendXml('CopyPartResult', [
    ['LastModified', modified],
    ['ETag', quote(etag)],
    ...checksumNodes(checksum),
  ])
}

/** Throws `NoSuchUpload`. */
async function uploadOf(exchange: Exchange): Promise<Upload> {
  return await new UploadStore(exchange).getOpen(exchange.parameter('uploadId') ?? '', exchange.key)
}

/** A part that arrives again replaces the former one. One whose upload has ended meanwhile is removed. */
async function storePart(exchange: Exchange, upload: Upload, part: PartSource): Promise<ObjectRecord> {
  const { job, signal, nowMs, chunks } = exchange
  const key = partKey(upload.id, numberIn(exchange))
  const attributes = { headers: {}, user: {} }
  const record = await store(job, {
    ...{ bucket: UPLOADS_BUCKET, key, attributes, condition: {}, nowMs, signal, chunks },
    ...part,
    verified: () => {
      const verified = part.verified()
      const { algorithm } = upload
      if (algorithm !== null && verified.checksum?.algorithm !== algorithm)
        throw new S3Error(
          'InvalidRequest',
          `Checksum Type mismatch occurred, expected checksum Type: ${algorithm.toLowerCase()}, actual checksum Type: ${verified.checksum?.algorithm.toLowerCase() ?? 'null'}`,
        )
      return verified
    },
  })
  const after = await new UploadStore(exchange).find(upload.id)
  if (after !== null && isUnfinished(after)) return record
  await job.delete(key, { bucket: UPLOADS_BUCKET })
  throw new S3Error('NoSuchUpload')
}

function numberIn(exchange: Exchange): number {
  const text = exchange.parameter('partNumber') ?? ''
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= PARTS_MAX) return number
  throw new S3Error('InvalidArgument', `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`)
}

/** A part that an upload has. */
export interface Part extends S3Object {
  readonly number: number
}

/** Up to `max` parts after a number. */
async function partsOf(
  exchange: Exchange,
  upload: Upload,
  { after, max }: { after: number; max: number },
): Promise<Part[]> {
  return await partsWith(
    exchange,
    upload,
    await new UploadStore(exchange).partNumbers(upload.id, { after, max }),
  )
}

/** The parts with these numbers that there are. */
export async function partsWith(
  exchange: Exchange,
  { id }: Upload,
  numbers: readonly number[],
): Promise<Part[]> {
  const stats = await statAll(
    exchange,
    numbers.map((number) => ({ key: partKey(id, number) })),
    UPLOADS_BUCKET,
  )
  return stats.flatMap(({ object }, index) =>
    object === null ? [] : [{ ...object, number: numbers[index] ?? 0 }],
  )
}

export async function listParts(exchange: Exchange): Promise<void> {
  const upload = await uploadOf(exchange)
  const max = maxOf(exchange.parameter('max-parts'), 'max-parts')
  const after = maxOfMarker(exchange.parameter('part-number-marker'))
  const found = await partsOf(exchange, upload, { after, max: max + 1 })
  const parts = found.slice(0, max)
  const isTruncated = found.length > max
  const owner = ownerOf(exchange)
  exchange.sendXml('ListPartsResult', [
    ['Bucket', exchange.bucket],
    ['Key', upload.key],
    ['UploadId', upload.id],
    ['Initiator', owner],
    ['Owner', owner],
    ['StorageClass', 'STANDARD'],
    ['PartNumberMarker', after],
    ['NextPartNumberMarker', parts.at(-1)?.number ?? 0],
    ['MaxParts', max],
    ['IsTruncated', isTruncated],
    ['ChecksumAlgorithm', upload.algorithm ?? undefined],
    ['ChecksumType', upload.algorithm === null ? undefined : upload.checksumType],
    ...parts.map((part) => ['Part', nodeOf(part)] as const),
  ])
}

function nodeOf({ number, modifiedMs, etag, bytes, checksum }: Part): Node {
  return [
    ['PartNumber', number],
    ['LastModified', new Date(modifiedMs).toISOString()],
    ['ETag', quote(etag)],
    ['Size', bytes],
    [`Checksum${checksum?.algorithm}`, checksum?.value],
  ]
}

function maxOfMarker(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text), PARTS_MAX)
  throw new S3Error('InvalidArgument', 'Provided part-number-marker not an integer or within integer range')
}
