import type { ObjectStat } from '../../client/objects/stat.ts'
import { TTL_SECONDS_MAX } from '../../protocol/limits.ts'
import { type Checksum, checksumHeader, isChecksumAlgorithm } from '../http/digests.ts'
import type { Exchange, Headers } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import { USER_METADATA_BYTES_MAX } from '../limits.ts'

/**
 * S3's attributes of an object besides its bytes and the user's metadata. They are stored in the object's metadata as JSON, under a name that
 * no HTTP header can have. Objects that were put by the SDK have none.
 */
export interface ObjectRecord {
  /** Without quotes. */
  readonly etag: string
  /** Unix time in ms. */
  readonly modifiedMs: number
  /** Bytes of the object: an append makes the record invalid. */
  readonly bytes: number
  /** `content-type` and the like. */
  readonly headers: Readonly<Record<string, string>>
  readonly checksum?: Checksum | undefined
  /** Names the put: two puts of equal bytes differ in it. */
  readonly put: string
}

const RECORD = ':s3'
const META = 'x-amz-meta-'
/** User metadata with this name is the object's time to live. */
const TTL = 'mayfly-ttl-seconds'
/** Headers that are stored with an object and returned with it. */
export const contentHeaders = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
] as const
const DEFAULT_TYPE = 'binary/octet-stream'

/** The attributes that a put stores with the bytes. */
export interface Attributes {
  readonly headers: Readonly<Record<string, string>>
  readonly user: Readonly<Record<string, string>>
}

/** The attributes that a request sends. Throws `MetadataTooLarge`. */
export function attributesOf(exchange: Exchange): Attributes {
  const headers: Record<string, string> = {}
  for (const name of contentHeaders) {
    const value = exchange.request.headers.get(name)
    const stored = name === 'content-encoding' ? withoutChunked(value) : value
    if (stored) headers[name] = stored
  }
  const user: Record<string, string> = {}
  const { query, headers: all } = exchange.request
  for (const [name, value] of [...query, ...all])
    if (name.startsWith(META) && name.length > META.length) user[name.slice(META.length)] = value
  const bytes = Object.entries(user).reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value), 0)
  if (bytes > USER_METADATA_BYTES_MAX) throw new S3Error('MetadataTooLarge')
  return { headers, user }
}

/** `aws-chunked` says how the body travels, not what it is. */
function withoutChunked(value: string | undefined): string | undefined {
  return value
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== 'aws-chunked')
    .join(',')
}

/** The SDK's metadata of an object. */
export function metadataOf(
  { headers, user }: Attributes,
  record: Omit<ObjectRecord, 'headers'>,
): Record<string, string> {
  return { ...user, [RECORD]: JSON.stringify({ ...record, headers }) }
}

/** The options of a put that attributes ask for. Throws `InvalidArgument`. */
export function ttlOf({ user }: Attributes): { ttlSeconds?: number } {
  const text = user[TTL]
  if (text === undefined) return {}
  const ttlSeconds = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (ttlSeconds >= 1 && ttlSeconds <= TTL_SECONDS_MAX) return { ttlSeconds }
  throw new S3Error(
    'InvalidArgument',
    `${META}${TTL}: it is no whole number of seconds from 1 to ${TTL_SECONDS_MAX}`,
  )
}

/** An object as S3 shows it. */
export interface S3Object extends ObjectRecord, Attributes {
  readonly version: number
  readonly expiresAt: Date | null
}

/**
 * Objects that the SDK has put have no time; `since`, the time of the job's registration, is used. Their entity tag contains their version, in
 * a form that no client takes for an MD5.
 */
export function objectOf(stat: ObjectStat, since: Date): S3Object {
  const { [RECORD]: text, ...user } = stat.metadata
  const record = readRecord(text)
  const { version, expiresAt, bytes } = stat
  if (record !== null && record.bytes === bytes) {
    // Written out: spreading what was parsed takes three times as long as parsing it.
    const { etag, modifiedMs, headers, checksum, put } = record
    return { etag, modifiedMs, bytes, headers, checksum, put, user, version, expiresAt }
  }
  const etag = `${version.toString(16).padStart(32, '0')}-1`
  const headers = record?.headers ?? {}
  return { etag, modifiedMs: since.getTime(), bytes, headers, put: '', user, version, expiresAt }
}

/** Null without a record, or with one that this gateway did not write: the SDK can put any metadata. */
function readRecord(text: string | undefined): ObjectRecord | null {
  if (text === undefined) return null
  try {
    const record = JSON.parse(text) as Partial<ObjectRecord> | null
    const { etag, modifiedMs, headers } = record ?? {}
    const isRecord = typeof etag === 'string' && Number.isFinite(modifiedMs) && typeof headers === 'object'
    return isRecord ? (record as ObjectRecord) : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

export function quote(etag: string): string {
  return `"${etag}"`
}

/** The headers of a GET or HEAD. */
export function headersOf(object: S3Object, exchange: Exchange): Headers {
  const { headers, user, expiresAt, checksum, bytes, etag, modifiedMs } = object
  const all: Headers = {
    'accept-ranges': 'bytes',
    'content-type': DEFAULT_TYPE,
    ...headers,
    etag: quote(etag),
    'last-modified': new Date(modifiedMs).toUTCString(),
    'content-length': bytes,
  }
  for (const [name, value] of Object.entries(user))
    if (HEADER_NAME.test(name)) all[META + name.toLowerCase()] = headerValue(value)
  if (expiresAt !== null)
    all['x-amz-expiration'] = `expiry-date="${expiresAt.toUTCString()}", rule-id="${TTL}"`
  if (exchange.header('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED')
    Object.assign(all, checksumHeaders(checksum))
  return all
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** As in S3, text that is not ASCII is encoded as a word of RFC 2047. */
function headerValue(text: string): string {
  return /^[\x20-\x7e\t]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`
}

export function checksumHeaders(checksum: Checksum | null | undefined): Headers {
  if (!checksum) return {}
  return {
    [checksumHeader(checksum.algorithm)]: checksum.value,
    'x-amz-checksum-type': checksumType(checksum),
  }
}

/** The elements of a checksum in a document. */
export function checksumNodes(checksum: Checksum | null | undefined): [string, string][] {
  if (!checksum) return []
  return [
    [`Checksum${checksum.algorithm}`, checksum.value],
    ['ChecksumType', checksumType(checksum)],
  ]
}

export function checksumType({ value }: Checksum): 'COMPOSITE' | 'FULL_OBJECT' {
  return value.includes('-') ? 'COMPOSITE' : 'FULL_OBJECT'
}

/** The algorithm that a request asks for; null if it asks for none. Throws `InvalidRequest`. */
export function algorithmIn(exchange: Exchange) {
  const text = exchange.header('x-amz-checksum-algorithm')?.toUpperCase()
  if (text === undefined) return null
  if (isChecksumAlgorithm(text)) return text
  throw new S3Error(
    'InvalidRequest',
    'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
  )
}
