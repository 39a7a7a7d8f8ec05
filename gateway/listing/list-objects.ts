import type { ListEntry } from '../../client/objects/listing.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import { PAGE_MAX } from '../limits.ts'
import { checksumType, objectOf, quote, type S3Object } from '../objects/object-record.ts'
import { listKeys } from './key-pages.ts'
import { commonPrefixes, type Encoding, encodingOf, maxOf, ownerOf, type Row } from './rows.ts'

/** What every listing of keys asks for. */
interface Listing extends Encoding {
  readonly prefix: string
  readonly delimiter: string
  readonly max: number
}

interface Listed {
  readonly key: string
  readonly object: S3Object
}

interface Page {
  readonly objects: readonly Listed[]
  readonly prefixes: readonly string[]
  /** Where the next page begins; null at the end. */
  readonly next: string | null
}

export async function listObjectsV2(exchange: Exchange): Promise<void> {
  const listing = listingOf(exchange)
  const token = exchange.parameter('continuation-token')
  const startAfter = exchange.parameter('start-after') ?? ''
  const page = await pageOf(exchange, listing, token === undefined ? startAfter : keyOfToken(token))
  const { objects, prefixes, next } = page
  send(exchange, 'ListBucketResult', {
    listing,
    page,
    position: [
      ['StartAfter', startAfter === '' ? undefined : listing.encode(startAfter)],
      ['ContinuationToken', token],
      ['NextContinuationToken', next === null ? undefined : tokenOfKey(next)],
      ['KeyCount', objects.length + prefixes.length],
    ],
    element: 'Contents',
    hasOwner: exchange.parameter('fetch-owner') === 'true',
  })
}

export async function listObjectsV1(exchange: Exchange): Promise<void> {
  const listing = listingOf(exchange)
  const { encode, delimiter } = listing
  const marker = exchange.parameter('marker') ?? ''
  const page = await pageOf(exchange, listing, marker)
  send(exchange, 'ListBucketResult', {
    listing,
    page,
    position: [
      ['Marker', encode(marker)],
      ['NextMarker', page.next === null || delimiter === '' ? undefined : encode(page.next)],
    ],
    element: 'Contents',
    hasOwner: true,
  })
}

/** As of a bucket without versions: each object is the latest of its key, with the version `null`. */
export async function listObjectVersions(exchange: Exchange): Promise<void> {
  const listing = listingOf(exchange)
  const { encode } = listing
  const marker = exchange.parameter('key-marker') ?? ''
  const page = await pageOf(exchange, listing, marker)
  send(exchange, 'ListVersionsResult', {
    listing,
    page,
    position: [
      ['KeyMarker', encode(marker)],
      ['VersionIdMarker', exchange.parameter('version-id-marker') ?? ''],
      ['NextKeyMarker', page.next === null ? undefined : encode(page.next)],
      ['NextVersionIdMarker', page.next === null ? undefined : 'null'],
    ],
    element: 'Version',
    hasOwner: true,
  })
}

interface Document {
  readonly listing: Listing
  readonly page: Page
  /** Where the page begins and ends. */
  readonly position: readonly Row[]
  readonly element: 'Contents' | 'Version'
  readonly hasOwner: boolean
}

/** The elements are in the order in which S3 sends them. */
function send(
  exchange: Exchange,
  root: string,
  { listing, page, position, element, hasOwner }: Document,
): void {
  const { prefix, delimiter, max, encode, encoding } = listing
  const owner = hasOwner ? ownerOf(exchange) : undefined
  exchange.sendXml(root, [
    ['Name', exchange.bucket],
    ['Prefix', encode(prefix)],
    ...position,
    ['MaxKeys', max],
    ['Delimiter', delimiter === '' ? undefined : encode(delimiter)],
    ['EncodingType', encoding],
    ['IsTruncated', page.next !== null],
    ...page.objects.map(
      ({ key, object: { etag, modifiedMs, bytes, checksum } }): Row => [
        element,
        [
          ['Key', encode(key)],
          ['VersionId', element === 'Version' ? 'null' : undefined],
          ['IsLatest', element === 'Version' ? true : undefined],
          ['LastModified', new Date(modifiedMs).toISOString()],
          ['ETag', quote(etag)],
          ['ChecksumAlgorithm', checksum?.algorithm],
          ['ChecksumType', checksum && checksumType(checksum)],
          ['Size', bytes],
          ['StorageClass', 'STANDARD'],
          ['Owner', owner],
        ],
      ],
    ),
    ...commonPrefixes(page.prefixes, encode),
  ])
}

function listingOf(exchange: Exchange): Listing {
  return {
    ...encodingOf(exchange),
    prefix: exchange.parameter('prefix') ?? '',
    delimiter: exchange.parameter('delimiter') ?? '',
    max: maxOf(exchange.parameter('max-keys'), 'max-keys'),
  }
}

/** Keys have entity tags and times only where their objects are. Those that were deleted since they were listed are left out. */
async function pageOf(exchange: Exchange, { prefix, delimiter, max }: Listing, after: string): Promise<Page> {
  const { job, bucket, signal } = exchange
  if (max === 0) {
    // Whether there is such a bucket.
    for await (const _ of job.list({ bucket, signal, limit: 1 }));
    return { objects: [], prefixes: [], next: null }
  }
  const { entries, prefixes, next } = await listKeys(job, { bucket, prefix, delimiter, max, after, signal })
  const stats = await statAll(exchange, entries)
  const objects = stats.flatMap(({ key, object }) => (object === null ? [] : [{ key, object }]))
  return { objects, prefixes, next }
}

/** In the order of the keys. Null for an object that there is not. Each page has its own deadline. */
export async function statAll(
  { job, open, bucket: own, signal }: Exchange,
  keys: readonly Pick<ListEntry, 'key'>[],
  bucket = own,
): Promise<{ key: string; object: S3Object | null }[]> {
  const found: { key: string; object: S3Object | null }[] = []
  for (let from = 0; from < keys.length; from += PAGE_MAX) {
    const page = keys.slice(from, from + PAGE_MAX).map(({ key }) => key)
    const stats = await job.statMany(page, { bucket, signal })
    stats.forEach((stat, index) => {
      const object = stat === null ? null : objectOf(stat, open.createdAt)
      found.push({ key: page[index] as string, object })
    })
  }
  return found
}

/** Tokens are opaque to clients, and need no state: they name the last key of the page before. */
function tokenOfKey(key: string): string {
  return Buffer.from(key).toString('base64url')
}

function keyOfToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString()
  if (token === '' || tokenOfKey(key) !== token)
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect')
  return key
}
