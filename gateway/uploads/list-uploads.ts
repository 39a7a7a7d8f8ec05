import { runInFlight } from '../../protocol/transport/in-flight.ts'
import type { Exchange } from '../http/exchange.ts'
import { notImplemented } from '../http/s3-error.ts'
import { CALLS_IN_FLIGHT, UPLOADS_LISTED_MAX } from '../limits.ts'
import { requireBucket } from '../listing/bucket-names.ts'
import { commonPrefix } from '../listing/key-pages.ts'
import { commonPrefixes, encodingOf, maxOf, ownerOf } from '../listing/rows.ts'
import { isUnfinished, type Upload, UploadStore } from './upload-store.ts'

/** Uploads in the order of their keys, and of their ids where keys are equal. */
export async function listMultipartUploads(exchange: Exchange): Promise<void> {
  await requireBucket(exchange)
  const prefix = exchange.parameter('prefix') ?? ''
  const delimiter = exchange.parameter('delimiter') ?? ''
  const marker = {
    key: exchange.parameter('key-marker') ?? '',
    id: exchange.parameter('upload-id-marker') ?? '',
  }
  const max = maxOf(exchange.parameter('max-uploads'), 'max-uploads')
  const { encode, encoding } = encodingOf(exchange)
  const all = (await openUploads(exchange)).filter(
    (upload) => upload.key.startsWith(prefix) && isAfter(upload, marker, delimiter),
  )
  const { uploads, prefixes, last, isTruncated } = page(all, { prefix, delimiter, max })
  const owner = ownerOf(exchange)
  exchange.sendXml('ListMultipartUploadsResult', [
    ['Bucket', exchange.bucket],
    ['KeyMarker', encode(marker.key)],
    ['UploadIdMarker', marker.id],
    ['NextKeyMarker', isTruncated ? encode(last.key) : undefined],
    ['NextUploadIdMarker', isTruncated ? last.id : undefined],
    ['Prefix', encode(prefix)],
    ['Delimiter', delimiter === '' ? undefined : encode(delimiter)],
    ['MaxUploads', max],
    ['EncodingType', encoding],
    ['IsTruncated', isTruncated],
    ...uploads.map(
      ({ key, id, initiatedMs, algorithm, checksumType }) =>
        [
          'Upload',
          [
            ['Key', encode(key)],
            ['UploadId', id],
            ['Initiator', owner],
            ['Owner', owner],
            ['StorageClass', 'STANDARD'],
            ['Initiated', new Date(initiatedMs).toISOString()],
            ['ChecksumAlgorithm', algorithm ?? undefined],
            ['ChecksumType', algorithm === null ? undefined : checksumType],
          ],
        ] as const,
    ),
    ...commonPrefixes(prefixes, encode),
  ])
}

async function openUploads(exchange: Exchange): Promise<Upload[]> {
  const store = new UploadStore(exchange)
  const ids = await store.ids(UPLOADS_LISTED_MAX + 1)
  if (ids.length > UPLOADS_LISTED_MAX)
    throw notImplemented(`listing more than ${UPLOADS_LISTED_MAX} uploads of a bucket`)
  const uploads: Upload[] = []
  await runInFlight(ids, CALLS_IN_FLIGHT, async (id) => {
    const upload = await store.find(id)
    if (upload !== null && isUnfinished(upload)) uploads.push(upload)
  })
  return uploads.sort((a, b) => compareKeys(a.key, b.key) || compareKeys(a.id, b.id))
}

function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

interface Marker {
  readonly key: string
  readonly id: string
}

/** Without an id, a marker stands for all uploads of its key, or with its prefix if it is a common one. */
function isAfter({ key, id }: Upload, marker: Marker, delimiter: string): boolean {
  const order = compareKeys(key, marker.key)
  if (order === 0) return marker.id !== '' && compareKeys(id, marker.id) > 0
  const isBelow =
    delimiter !== '' && marker.id === '' && marker.key.endsWith(delimiter) && key.startsWith(marker.key)
  return order > 0 && !isBelow
}

interface Page {
  readonly uploads: readonly Upload[]
  readonly prefixes: readonly string[]
  /** The last upload or prefix. */
  readonly last: Marker
  readonly isTruncated: boolean
}

function page(
  all: readonly Upload[],
  { prefix, delimiter, max }: { prefix: string; delimiter: string; max: number },
): Page {
  const uploads: Upload[] = []
  const prefixes = new Set<string>()
  let last: Marker = { key: '', id: '' }
  for (const upload of all) {
    const common = commonPrefix(upload.key, { prefix, delimiter })
    if (common !== null && prefixes.has(common)) continue
    if (uploads.length + prefixes.size === max)
      return { uploads, prefixes: [...prefixes], last, isTruncated: max > 0 }
    if (common === null) uploads.push(upload)
    else prefixes.add(common)
    last = common === null ? upload : { key: common, id: '' }
  }
  return { uploads, prefixes: [...prefixes], last, isTruncated: false }
}
