import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { type ChunkSigner, decodeChunks } from './aws-chunked.ts'
import {
  type Checksum,
  type ChecksumAlgorithm,
  checksumDigest,
  checksumHeader,
  checksumIn,
  type Digest,
  Hash,
  isChecksumAlgorithm,
} from './digests.ts'
import { Pace, type Paces } from './pace.ts'
import { S3Error } from './s3-error.ts'

/** How a request declares the protection of its body. */
export type Payload =
  | { readonly kind: 'plain'; readonly sha256: string | null }
  | { readonly kind: 'chunked'; readonly signer: ChunkSigner | null; readonly hasTrailers: boolean }

export interface BodyOptions {
  readonly incoming: IncomingMessage
  readonly headers: ReadonlyMap<string, string>
  readonly payload: Payload
  readonly paces: Paces
  /** Tells a client that waits with its body to send it. */
  readonly onBegin: () => void
}

/** The digests of a body after all of it was read and verified. */
export interface Verified {
  readonly bytes: number
  /** In hex. */
  readonly md5: string
  readonly checksum: Checksum | null
}

/** The body of a request: decoded, counted, and verified at its end, before its last bytes are returned. */
export class Body {
  readonly #options: BodyOptions
  #verified: Verified | null = null
  #length: number | null = null

  constructor(options: BodyOptions) {
    this.#options = options
  }

  /** The bytes of the decoded body, as its headers say. Throws `MissingContentLength`, or `InvalidRequest`. */
  get length(): number {
    this.#length ??= this.#readLength()
    return this.#length
  }

  /** Throws unless the body was read to its end. */
  get verified(): Verified {
    if (this.#verified === null) throw new Error('the body was not read to its end')
    return this.#verified
  }

  #readLength(): number {
    const { headers, payload } = this.#options
    const name = payload.kind === 'chunked' ? 'x-amz-decoded-content-length' : 'content-length'
    const text = headers.get(name)
    if (text === undefined) throw new S3Error('MissingContentLength')
    if (!/^\d{1,15}$/.test(text)) throw new S3Error('InvalidRequest', `${name}: it is no number of bytes`)
    return Number(text)
  }

  /** All of it, in one buffer. The caller has checked `length`. Rejects as `stream` throws. */
  async all(): Promise<Buffer> {
    return await buffer(this.stream())
  }

  /**
   * Its bytes. At the end they are compared with their length, Content-MD5, checksum, and the signature's hash: throws
   * `IncompleteBody`, `BadDigest`, `XAmzContentSHA256Mismatch`, and `RequestTimeout` if the client is too slow. A checksum
   * of `computed` is computed where the client sends none.
   */
  async *stream(computed: ChecksumAlgorithm | null = null): AsyncGenerator<Buffer> {
    const { headers, payload, onBegin } = this.#options
    const { length } = this
    const expectedMd5 = md5In(headers)
    const announced = trailersIn(headers)
    let expected = checksumIn(headers)
    const algorithm = expected?.algorithm ?? algorithmOf(announced) ?? computed
    checkNamed(headers, algorithm)
    const md5 = new Hash('md5')
    const checksum = algorithm === null ? null : checksumDigest(algorithm)
    const sha256 = payload.kind === 'plain' && payload.sha256 !== null ? new Hash('sha256') : null
    const digests: Digest[] = [md5, checksum, sha256].filter((digest) => digest !== null)
    let bytes = 0
    onBegin()
    const decoded =
      payload.kind === 'plain'
        ? this.#raw()
        : decodeChunks(this.#raw(), {
            signer: payload.signer,
            trailers: payload.hasTrailers ? announced : [],
            onTrailers: (trailers) => {
              expected ??= checksumIn(trailers)
            },
          })
    for await (const piece of decoded) {
      bytes += piece.length
      if (bytes > length) throw new S3Error('IncompleteBody')
      for (const digest of digests) digest.update(piece)
      yield piece
    }
    if (bytes !== length) throw new S3Error('IncompleteBody')
    if (sha256 !== null && payload.kind === 'plain' && (await hexOf(sha256)) !== payload.sha256)
      throw new S3Error('XAmzContentSHA256Mismatch')
    const md5Hex = await hexOf(md5)
    if (expectedMd5 !== null && md5Hex !== expectedMd5) throw new S3Error('BadDigest')
    const value = checksum === null ? '' : Buffer.from(await checksum.digest()).toString('base64')
    if (expected !== null && expected.value !== value)
      throw new S3Error(
        'BadDigest',
        `The ${expected.algorithm} you specified did not match the calculated checksum.`,
      )
    this.#verified = { bytes, md5: md5Hex, checksum: algorithm === null ? null : { algorithm, value } }
  }

  /** The raw bytes as they arrive; throws if the client is too slow. */
  async *#raw(): AsyncGenerator<Buffer> {
    const { incoming, paces } = this.#options
    const pieces = incoming.iterator({ destroyOnReturn: false })
    let onStall: (error: S3Error) => void = () => undefined
    const pace = new Pace(paces, () => onStall(new S3Error('RequestTimeout')))
    // `Promise.race` with one promise for the whole body would hold every piece until the body ends.
    const next = (): Promise<IteratorResult<Buffer>> =>
      new Promise((resolve, reject) => {
        onStall = reject
        pieces.next().then(resolve, reject)
      })
    try {
      for (;;) {
        pace.wait()
        const { done, value } = await next()
        pace.moved(done ? 0 : value.length)
        if (done) return
        yield value
      }
    } catch (cause) {
      pace.moved(0)
      throw cause instanceof S3Error ? cause : new S3Error('IncompleteBody', undefined, { cause })
    } finally {
      // The code that answers reads the rest, or closes the connection.
      void pieces.return?.().catch(() => undefined)
    }
  }
}

async function hexOf(digest: Digest): Promise<string> {
  return Buffer.from(await digest.digest()).toString('hex')
}

/** In hex; null without one. */
function md5In(headers: ReadonlyMap<string, string>): string | null {
  const text = headers.get('content-md5')
  if (text === undefined) return null
  const md5 = Buffer.from(text, 'base64')
  if (md5.length !== 16) throw new S3Error('InvalidDigest')
  return md5.toString('hex')
}

function trailersIn(headers: ReadonlyMap<string, string>): string[] {
  return (headers.get('x-amz-trailer') ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
}

/** The checksum that a trailer will bring. Throws `InvalidRequest` for a trailer that is no checksum. */
function algorithmOf([name, ...others]: readonly string[]): ChecksumAlgorithm | null {
  if (name === undefined) return null
  const algorithm = name.replace(/^x-amz-checksum-/, '').toUpperCase()
  if (!isChecksumAlgorithm(algorithm) || name !== checksumHeader(algorithm) || others.length > 0)
    throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported')
  return algorithm
}

/** Throws `InvalidRequest` for a request that names an algorithm and sends no such checksum. */
function checkNamed(headers: ReadonlyMap<string, string>, algorithm: ChecksumAlgorithm | null): void {
  const named = headers.get('x-amz-sdk-checksum-algorithm')?.toUpperCase()
  if (named === undefined || named === algorithm) return
  throw new S3Error(
    'InvalidRequest',
    'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
  )
}
