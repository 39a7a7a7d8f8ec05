import type { Readable } from 'node:stream'
import { isError } from '../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../protocol/limits.ts'
import type { Exchange, Headers } from '../http/exchange.ts'
import { notImplemented, S3Error } from '../http/s3-error.ts'
import { STREAM_BYTES } from '../limits.ts'
import { type ByteRange, contentRange, rangeOf } from './byte-range.ts'
import { checkConditions, conditionsIn } from './conditions.ts'
import { contentHeaders, headersOf, objectOf, type S3Object } from './object-record.ts'

/** The bytes of a version: the first of them, and the rest if there is more. */
interface Opened {
  readonly first: Buffer
  readonly rest: Readable | null
}

/** Reads of one request that begin again because the object was replaced; more are a client's business. */
const ATTEMPTS_MAX = 10

export async function getObject(exchange: Exchange): Promise<void> {
  checkVersion(exchange)
  const simple = await getSmall(exchange)
  if (simple !== null) return answer(exchange, { ...simple, range: null })
  for (let attempt = 1; ; attempt++) {
    const object = await statOf(exchange)
    checkConditions(conditionsIn(exchange), object, 'read')
    const range = rangeOf(exchange.request.headers.get('range'), object.bytes)
    try {
      const opened = await openVersion(exchange, object, range ?? { start: 0, end: object.bytes })
      return await answer(exchange, { object, opened, range })
    } catch (error) {
      const isReplaced = isError(error, 'VERSION_MISMATCH', 'NOT_FOUND') && !exchange.isAnswered
      if (!isReplaced || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

export async function headObject(exchange: Exchange): Promise<void> {
  checkVersion(exchange)
  const object = await statOf(exchange)
  checkConditions(conditionsIn(exchange), object, 'read')
  const range = rangeOf(exchange.request.headers.get('range'), object.bytes)
  exchange.send(range === null ? 200 : 206, headersFor(exchange, object, range))
}

/** A whole object of up to one message, with its metadata, in one round trip; null for anything else. */
async function getSmall(exchange: Exchange): Promise<{ object: S3Object; opened: Opened } | null> {
  const { job, bucket, key, signal, open, request } = exchange
  if (request.headers.has('range') || conditionsIn(exchange) !== null) return null
  try {
    const got = await job.getWithMetadata(key, { bucket, signal, range: { start: 0, end: CHUNK_BYTES } })
    if (got.value.length < got.bytes) return null
    return { object: objectOf(got, open.createdAt), opened: { first: got.value, rest: null } }
  } catch (error) {
    // An empty object has no first byte.
    if (isError(error, 'RANGE_NOT_SATISFIABLE')) return null
    throw error
  }
}

/** Throws `NoSuchKey`. */
export async function statOf(
  exchange: Exchange,
  { bucket, key }: { bucket: string; key: string } = exchange,
): Promise<S3Object> {
  const stat = await exchange.job.stat(key, { bucket, signal: exchange.signal })
  if (stat === null) throw new S3Error('NoSuchKey')
  return objectOf(stat, exchange.open.createdAt)
}

/** Rejects with `VERSION_MISMATCH` or `NOT_FOUND` if the object was replaced; what comes later cuts the stream. */
async function openVersion(
  exchange: Exchange,
  { version }: S3Object,
  { start, end }: ByteRange,
): Promise<Opened> {
  if (end === start) return { first: Buffer.alloc(0), rest: null }
  const { job, bucket, key, signal } = exchange
  const options = { bucket, signal, range: { start, end }, ifVersion: version }
  if (end - start <= CHUNK_BYTES) return { first: await job.get(key, options), rest: null }
  const rest = job.getStream(key, options)
  const pieces = rest.iterator({ destroyOnReturn: false })
  const { value } = await pieces.next()
  return { first: value as Buffer, rest }
}

async function answer(
  exchange: Exchange,
  { object, opened, range }: { object: S3Object; opened: Opened; range: ByteRange | null },
): Promise<void> {
  const headers = headersFor(exchange, object, range)
  const status = range === null ? 200 : 206
  const { first, rest } = opened
  exchange.hold(rest === null ? first.length : STREAM_BYTES)
  if (rest === null) exchange.send(status, headers, first)
  else await exchange.sendStream(status, headers, { first, rest })
}

function headersFor(exchange: Exchange, object: S3Object, range: ByteRange | null): Headers {
  // The checksum is that of all bytes; a client would compare a part with it.
  const headers = headersOf(range === null ? object : { ...object, checksum: undefined }, exchange)
  for (const name of contentHeaders) {
    const wanted = exchange.parameter(`response-${name}`)
    if (wanted !== undefined) headers[name] = wanted
  }
  if (range === null) return headers
  return {
    ...headers,
    'content-range': contentRange(range, object.bytes),
    'content-length': range.end - range.start,
  }
}

/** An object has one version, which S3 calls `null` where a bucket keeps no others. */
export function checkVersion(exchange: Exchange): void {
  const version = exchange.parameter('versionId')
  if (version !== undefined && version !== 'null') throw new S3Error('NoSuchVersion')
  if (exchange.parameter('partNumber') !== undefined) throw notImplemented('partNumber of a whole object')
}
