import type { ListEntry } from '../../client/objects/listing.ts'
import { encodePath } from '../../client/signature-v4.ts'
import { isError } from '../../protocol/errors.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import type { Node } from '../http/xml.ts'
import { PAGE_MAX, STATS_IN_FLIGHT } from '../limits.ts'
import { checksumType, objectOf, quote, type S3Object } from '../objects/object-record.ts'
import { type KeyPage, listKeys } from './key-pages.ts'

type Nodes = readonly (readonly [string, Node | undefined])[]

/** The parameters that all listings of keys share. */
interface ListParameters {
  readonly prefix: string
  readonly delimiter: string
  readonly max: number
  /** Encodes keys as the request asks. */
  readonly encode: (text: string) => string
  readonly encoding: string | undefined
}

export async function listObjectsV2(exchange: Exchange): Promise<void> {
  const shared = parametersOf(exchange)
  const { prefix, delimiter, max, encode, encoding } = shared
  const token = exchange.parameter('continuation-token')
  const startAfter = exchange.parameter('start-after') ?? ''
  const page = await pageOf(exchange, shared, token === undefined ? startAfter : keyOfToken(token))
  const { entries, prefixes, next } = page
  const withOwner = exchange.parameter('fetch-owner') === 'true'
  exchange.sendXml('ListBucketResult', [
    ['Name', exchange.bucket],
    ['Prefix', encode(prefix)],
    ['StartAfter', startAfter === '' ? undefined : encode(startAfter)],
    ['ContinuationToken', token],
    ['NextContinuationToken', next === null ? undefined : tokenOfKey(next)],
    ['KeyCount', entries.length + prefixes.length],
    ['MaxKeys', max],
    ['Delimiter', delimiter === '' ? undefined : encode(delimiter)],
    ['EncodingType', encoding],
    ['IsTruncated', next !== null],
    ...(await contents(exchange, page, encode)).map(
      ({ node }) => ['Contents', withOwner ? [...node, ownerOf(exchange)] : node] as const,
    ),
    ...commonPrefixes(page, encode),
  ])
}

export async function listObjectsV1(exchange: Exchange): Promise<void> {
  const shared = parametersOf(exchange)
  const { prefix, delimiter, max, encode, encoding } = shared
  const marker = exchange.parameter('marker') ?? ''
  const page = await pageOf(exchange, shared, marker)
  exchange.sendXml('ListBucketResult', [
    ['Name', exchange.bucket],
    ['Prefix', encode(prefix)],
    ['Marker', encode(marker)],
    ['NextMarker', page.next === null || delimiter === '' ? undefined : encode(page.next)],
    ['MaxKeys', max],
    ['Delimiter', delimiter === '' ? undefined : encode(delimiter)],
    ['EncodingType', encoding],
    ['IsTruncated', page.next !== null],
    ...(await contents(exchange, page, encode)).map(
      ({ node }) => ['Contents', [...node, ownerOf(exchange)]] as const,
    ),
    ...commonPrefixes(page, encode),
  ])
}

/** As of a bucket without versions: each object is the latest of its key, with the version `null`. */
export async function listObjectVersions(exchange: Exchange): Promise<void> {
  const shared = parametersOf(exchange)
  const { prefix, delimiter, max, encode, encoding } = shared
  const marker = exchange.parameter('key-marker') ?? ''
  const page = await pageOf(exchange, shared, marker)
  exchange.sendXml('ListVersionsResult', [
    ['Name', exchange.bucket],
    ['Prefix', encode(prefix)],
    ['KeyMarker', encode(marker)],
    ['VersionIdMarker', exchange.parameter('version-id-marker') ?? ''],
    ['NextKeyMarker', page.next === null ? undefined : encode(page.next)],
    ['NextVersionIdMarker', page.next === null ? undefined : 'null'],
    ['MaxKeys', max],
    ['Delimiter', delimiter === '' ? undefined : encode(delimiter)],
    ['EncodingType', encoding],
    ['IsTruncated', page.next !== null],
    ...(await contents(exchange, page, encode)).map(
      ({ node }) =>
        ['Version', [...node, ['VersionId', 'null'], ['IsLatest', true], ownerOf(exchange)]] as const,
    ),
    ...commonPrefixes(page, encode),
  ])
}

async function pageOf(
  exchange: Exchange,
  { prefix, delimiter, max }: ListParameters,
  after: string,
): Promise<KeyPage> {
  const { job, bucket, signal } = exchange
  if (max > 0) return await listKeys(job, { bucket, prefix, delimiter, max, after, signal })
  for await (const _ of job.list({ bucket, signal })) break
  return { entries: [], prefixes: [], next: null }
}

function parametersOf(exchange: Exchange): ListParameters {
  const encoding = exchange.parameter('encoding-type')
  if (encoding !== undefined && encoding !== 'url')
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request')
  return {
    prefix: exchange.parameter('prefix') ?? '',
    delimiter: exchange.parameter('delimiter') ?? '',
    max: maxOf(exchange.parameter('max-keys'), 'max-keys'),
    encode: encoding === 'url' ? encodePath : (text) => text,
    encoding,
  }
}

/** As S3: more than a page is a page, 0 is an empty one. */
export function maxOf(text: string | undefined, name: string): number {
  if (text === undefined || text === '') return PAGE_MAX
  if (!/^\d{1,10}$/.test(text))
    throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`)
  return Math.min(PAGE_MAX, Number(text))
}

/** Keys have entity tags and times only where their objects are: they are asked for in the page's order. */
async function contents(
  exchange: Exchange,
  { entries }: KeyPage,
  encode: (text: string) => string,
): Promise<{ node: Nodes }[]> {
  const objects = await statAll(exchange, entries)
  return objects.flatMap(({ key, object }) =>
    object === null ? [] : [{ node: nodeOf(encode(key), object) }],
  )
}

function nodeOf(key: string, { etag, modifiedMs, bytes, checksum }: S3Object): Nodes {
  return [
    ['Key', key],
    ['LastModified', new Date(modifiedMs).toISOString()],
    ['ETag', quote(etag)],
    ['ChecksumAlgorithm', checksum?.algorithm],
    ['ChecksumType', checksum && checksumType(checksum)],
    ['Size', bytes],
    ['StorageClass', 'STANDARD'],
  ]
}

/** Null for an object that was deleted since it was listed. */
export async function statAll(
  { job, open, bucket: own, signal }: Exchange,
  entries: readonly Pick<ListEntry, 'key'>[],
  bucket = own,
): Promise<{ key: string; object: S3Object | null }[]> {
  const objects: { key: string; object: S3Object | null }[] = entries.map(({ key }) => ({
    key,
    object: null,
  }))
  await runInFlight(objects, STATS_IN_FLIGHT, async (entry) => {
    const stat = await job.stat(entry.key, { bucket, signal }).catch((error: unknown) => {
      if (isError(error, 'NOT_FOUND')) return null
      throw error
    })
    if (stat !== null) entry.object = objectOf(stat, open.createdAt)
  })
  return objects
}

function commonPrefixes({ prefixes }: KeyPage, encode: (text: string) => string): [string, Node][] {
  return prefixes.map((prefix) => ['CommonPrefixes', [['Prefix', encode(prefix)]]])
}

function ownerOf({ job }: Exchange): readonly [string, Node] {
  return [
    'Owner',
    [
      ['ID', job.id],
      ['DisplayName', job.id],
    ],
  ]
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
