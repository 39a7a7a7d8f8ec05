import { wasReplaced } from '../../client/objects/get.ts'
import type { Verified } from '../http/body.ts'
import { type ChecksumAlgorithm, checksumDigest, Hash } from '../http/digests.ts'
import type { Exchange } from '../http/exchange.ts'
import { notImplemented, S3Error } from '../http/s3-error.ts'
import { PUT_BYTES_MAX } from '../limits.ts'
import type { ByteRange } from './byte-range.ts'
import { checkConditions, conditionsIn, putCondition } from './conditions.ts'
import { statOf } from './get.ts'
import { algorithmIn, attributesOf, checksumNodes, quote, type S3Object, ttlOf } from './object-record.ts'
import { readVersion } from './read-version.ts'
import { store } from './store.ts'

/** How often a copy is restarted because its source was replaced. */
const ATTEMPTS_MAX = 3

/** The source of a copy. */
export interface CopySource {
  readonly bucket: string
  readonly key: string
}

export async function copyObject(exchange: Exchange): Promise<void> {
  const source = sourceIn(exchange)
  const directive = directiveIn(exchange)
  if (directive === 'COPY' && source.bucket === exchange.bucket && source.key === exchange.key)
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    )
  for (let attempt = 1; ; attempt++) {
    const object = await sourceOf(exchange, source)
    if (object.bytes > PUT_BYTES_MAX)
      throw new S3Error(
        'InvalidRequest',
        'The specified copy source is larger than the maximum allowable size for a copy source: 5368709120',
      )
    const attributes = directive === 'COPY' ? object : attributesOf(exchange)
    ttlOf(attributes)
    const condition = await putCondition(exchange, exchange)
    const reading = new CopyReading(exchange, {
      source,
      object,
      algorithm: algorithmIn(exchange) ?? algorithmOf(object),
    })
    try {
      const { etag, checksum, modifiedMs } = await store(exchange.job, {
        bucket: exchange.bucket,
        key: exchange.key,
        bytes: object.bytes,
        source: () => reading.stream({ start: 0, end: object.bytes }),
        verified: () => reading.verified,
        attributes,
        condition,
        nowMs: exchange.nowMs,
        signal: exchange.signal,
        chunks: exchange.chunks,
      })
      return exchange.sendXml('CopyObjectResult', [
        ['LastModified', new Date(modifiedMs).toISOString()],
        ['ETag', quote(etag)],
        ...checksumNodes(checksum),
      ])
    } catch (error) {
      if (!reading.wasReplaced || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

/** The source of a copy. Throws `InvalidArgument`, or `NoSuchVersion`. */
export function sourceIn(exchange: Exchange): CopySource {
  const text = exchange.header('x-amz-copy-source') ?? ''
  const [path = '', version] = text.split(/\?versionId=/)
  const [, bucket = '', key = ''] = /^\/?([^/]+)\/(.+)$/s.exec(decoded(path)) ?? []
  if (key === '')
    throw new S3Error(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
    )
  if (version !== undefined && version !== 'null') throw new S3Error('NoSuchVersion')
  return { bucket, key }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new S3Error('InvalidArgument', 'x-amz-copy-source: it cannot be decoded', { cause })
  }
}

/** The object that is copied, if its conditions hold. */
export async function sourceOf(exchange: Exchange, source: CopySource): Promise<S3Object> {
  const object = await statOf(exchange, source)
  checkConditions(conditionsIn(exchange, 'x-amz-copy-source-'), object, 'copy')
  return object
}

function directiveIn(exchange: Exchange): 'COPY' | 'REPLACE' {
  const directive = exchange.header('x-amz-metadata-directive') ?? 'COPY'
  if (directive !== 'COPY' && directive !== 'REPLACE')
    throw new S3Error('InvalidArgument', 'Unknown metadata directive.')
  if ((exchange.header('x-amz-tagging-directive') ?? 'COPY') !== 'COPY')
    throw notImplemented('x-amz-tagging-directive')
  return directive
}

function algorithmOf({ checksum }: S3Object): ChecksumAlgorithm | null {
  return checksum?.algorithm ?? null
}

/** Reads one version of the source, and computes the digests that are stored with the copy. */
export class CopyReading {
  /** The version was gone before its last byte. */
  wasReplaced = false
  readonly #exchange: Exchange
  readonly #of: { source: CopySource; object: S3Object; algorithm: ChecksumAlgorithm | null }
  #verified: Pick<Verified, 'md5' | 'checksum'> | null = null

  constructor(
    exchange: Exchange,
    of: { source: CopySource; object: S3Object; algorithm: ChecksumAlgorithm | null },
  ) {
    this.#exchange = exchange
    this.#of = of
  }

  get verified(): Pick<Verified, 'md5' | 'checksum'> {
    if (this.#verified === null) throw new Error('the source was not read to its end')
    return this.#verified
  }

  async *stream(range: ByteRange): AsyncGenerator<Buffer> {
    const { algorithm, source, object } = this.#of
    const md5 = new Hash('md5')
    const digest = algorithm === null ? null : checksumDigest(algorithm)
    try {
      for await (const piece of readVersion(this.#exchange, { ...source, version: object.version, range })) {
        md5.update(piece)
        digest?.update(piece)
        yield piece
      }
    } catch (error) {
      this.wasReplaced = wasReplaced(error)
      throw error
    }
    const value = digest === null ? '' : Buffer.from(await digest.digest()).toString('base64')
    const checksum = algorithm === null ? null : { algorithm, value }
    this.#verified = { md5: Buffer.from(await md5.digest()).toString('hex'), checksum }
  }
}
