import { wasReplaced } from '../../client/objects/get.ts'
import { isError } from '../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../protocol/limits.ts'
import { chunkMemory } from '../../protocol/wire/chunk-memory.ts'
import type { Exchange, Headers } from '../http/exchange.ts'
import { notImplemented, S3Error } from '../http/s3-error.ts'
import { STREAM_BYTES } from '../limits.ts'
import { type ByteRange, contentRange, rangeOf } from './byte-range.ts'
import { checkConditions, conditionsIn } from './conditions.ts'
import { contentHeaders, headersOf, objectOf, type S3Object } from './object-record.ts'

/** What was learned of an object, in one round trip, and its first bytes if they came with it. */
interface Begun {
  readonly object: S3Object
  /** Null for all of it. */
  readonly range: ByteRange | null
  readonly first: Buffer
}

/** How often a read is restarted because the object was replaced. */
const ATTEMPTS_MAX = 10

export async function getObject(exchange: Exchange): Promise<void> {
  checkVersion(exchange)
  for (let attempt = 1; ; attempt++) {
    const begun = await begin(exchange)
    try {
      return await answer(exchange, begun)
    } catch (error) {
      if (!wasReplaced(error) || exchange.isAnswered || attempt === ATTEMPTS_MAX) throw error
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

/** Throws `NoSuchKey`, `InvalidRange`, and what `checkConditions` throws. */
async function begin(exchange: Exchange): Promise<Begun> {
  const header = exchange.request.headers.get('range')
  const conditions = conditionsIn(exchange)
  if (header === undefined && conditions === null) {
    const begun = await beginWhole(exchange)
    if (begun !== null) return begun
  }
  const object = await statOf(exchange)
  checkConditions(conditions, object, 'read')
  return { object, range: rangeOf(header, object.bytes), first: Buffer.alloc(0) }
}

/** With the first chunk, which is all of most objects. Null for an empty object, which has no first byte. */
async function beginWhole({ job, bucket, key, signal, open, chunks }: Exchange): Promise<Begun | null> {
  try {
    const options = { bucket, signal, range: { start: 0, end: CHUNK_BYTES }, [chunkMemory]: chunks }
    const got = await job.getWithMetadata(key, options)
    return { object: objectOf(got, open.createdAt), range: null, first: got.value }
  } catch (error) {
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

/** Rejects with an error for which `wasReplaced` holds before it has sent anything; what comes later cuts the stream. */
async function answer(exchange: Exchange, { object, range, first }: Begun): Promise<void> {
  const { job, bucket, key, signal, chunks } = exchange
  const { start, end } = range ?? { start: 0, end: object.bytes }
  const left = { start: start + first.length, end }
  const leftBytes = left.end - left.start
  const options = { bucket, signal, range: left, ifVersion: object.version, [chunkMemory]: chunks }
  const status = range === null ? 200 : 206
  const headers = headersFor(exchange, object, range)
  if (leftBytes === 0 || (first.length === 0 && leftBytes <= CHUNK_BYTES)) {
    const bytes = leftBytes === 0 ? first : await job.get(key, options)
    exchange.hold(bytes.length)
    return exchange.send(status, headers, bytes)
  }
  exchange.hold(STREAM_BYTES)
  const rest = job.getStream(key, options)
  const { value } = await rest.iterator({ destroyOnReturn: false }).next()
  await exchange.sendStream(status, headers, { first: [first, value as Buffer], rest })
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

/** Buckets have no versioning, so the version id of every object is `null`, as in S3. */
export function checkVersion(exchange: Exchange): void {
  const version = exchange.parameter('versionId')
  if (version !== undefined && version !== 'null') throw new S3Error('NoSuchVersion')
  if (exchange.parameter('partNumber') !== undefined) throw notImplemented('partNumber of a whole object')
}
