import { createHash } from 'node:crypto'
import { hmac, sha256Hex } from '../../client/signature-v4.ts'
import { CHUNK_HEADER_BYTES_MAX } from '../limits.ts'
import { areEqual } from './constant-time.ts'
import { S3Error } from './s3-error.ts'

/** What the signatures of chunks are checked with; each covers the one before it. */
export interface ChunkSigner {
  readonly key: Buffer
  readonly time: string
  readonly scope: string
  /** Of the request. */
  readonly seed: string
}

interface AwsChunked {
  /** Null where chunks are not signed. */
  readonly signer: ChunkSigner | null
  /** Names of the trailers that the request announced, in lower case. */
  readonly trailers: readonly string[]
  /** Receives the trailers after the last chunk. */
  readonly onTrailers: (trailers: ReadonlyMap<string, string>) => void
}

const EMPTY_SHA256 = sha256Hex('')

/**
 * The bytes of a body in `aws-chunked` encoding, `LENGTH;chunk-signature=…\r\nBYTES\r\n`, without buffering chunks.
 * A chunk's signature is checked at its end, so the last bytes of the body come only after all signatures were right.
 * Throws `SignatureDoesNotMatch`, `IncompleteBody`, and `InvalidRequest` for a broken encoding.
 */
export async function* decodeChunks(
  source: AsyncIterable<Buffer>,
  options: AwsChunked,
): AsyncGenerator<Buffer> {
  const { signer, trailers, onTrailers } = options
  const input = new Input(source)
  let former = signer?.seed ?? ''
  for (;;) {
    const { bytes, signature } = parseHead(await input.line(), signer !== null)
    const hash = signer === null ? null : createHash('sha256')
    for (let left = bytes; left > 0; ) {
      const piece = await input.upTo(left)
      hash?.update(piece)
      left -= piece.length
      yield piece
    }
    if (signer !== null && hash !== null) {
      const text = [
        'AWS4-HMAC-SHA256-PAYLOAD',
        signer.time,
        signer.scope,
        former,
        EMPTY_SHA256,
        hash.digest('hex'),
      ]
      check(signer, text, signature)
      former = signature
    }
    if (bytes === 0) break
    if ((await input.line()) !== '') throw broken('a chunk is longer than its header says')
  }
  onTrailers(await readTrailers(input, { signer, former, names: trailers }))
}

function check(signer: ChunkSigner, text: readonly string[], signature: string): void {
  const expected = hmac(signer.key, text.join('\n')).toString('hex')
  if (!areEqual(expected, signature)) throw new S3Error('SignatureDoesNotMatch')
}

/** Lines `name:value` up to an empty one, or to the end: the last `\r\n` is missing without trailers in some clients. */
async function readTrailers(
  input: Input,
  { signer, former, names }: { signer: ChunkSigner | null; former: string; names: readonly string[] },
): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  let signature = ''
  for (let line = await input.lastLine(); line !== ''; line = await input.lastLine()) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (name === 'x-amz-trailer-signature') signature = value
    else if (names.includes(name) && !found.has(name)) found.set(name, value)
    else throw broken('a trailer was not announced by x-amz-trailer')
  }
  await input.expectEnd()
  if (names.some((name) => !found.has(name)))
    throw new S3Error('InvalidRequest', 'An announced trailer is missing.')
  if (signer !== null && names.length > 0) {
    const lines = [...found].map(([name, value]) => `${name}:${value}\n`).join('')
    check(
      signer,
      ['AWS4-HMAC-SHA256-TRAILER', signer.time, signer.scope, former, sha256Hex(lines)],
      signature,
    )
  }
  return found
}

function parseHead(line: string, isSigned: boolean): { bytes: number; signature: string } {
  const [, length = '', signature = ''] =
    /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line) ?? []
  if (length === '') throw broken('the header of a chunk cannot be read')
  if (isSigned && signature === '') throw new S3Error('SignatureDoesNotMatch')
  return { bytes: Number.parseInt(length, 16), signature }
}

function broken(what: string): S3Error {
  return new S3Error('InvalidRequest', `The aws-chunked body cannot be decoded: ${what}.`)
}

/** Reads lines and bytes of a source. */
class Input {
  readonly #pieces: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#pieces = source[Symbol.asyncIterator]()
  }

  /** Some bytes, at most `max`. */
  async upTo(max: number): Promise<Buffer> {
    if (this.#rest.length === 0 && !(await this.#more())) throw new S3Error('IncompleteBody')
    const piece = this.#rest.subarray(0, max)
    this.#rest = this.#rest.subarray(piece.length)
    return piece
  }

  /** A line that ends in `\r\n`. */
  async line(): Promise<string> {
    const line = await this.#line()
    if (line === null) throw new S3Error('IncompleteBody')
    return line
  }

  /** As `line`; empty at the end. */
  async lastLine(): Promise<string> {
    return (await this.#line()) ?? ''
  }

  async expectEnd(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#more())) throw broken('bytes follow its end')
  }

  async #line(): Promise<string | null> {
    for (let from = 0; ; ) {
      const end = this.#rest.indexOf('\r\n', from)
      if (end >= 0) {
        const line = this.#rest.toString('latin1', 0, end)
        this.#rest = this.#rest.subarray(end + 2)
        return line
      }
      if (this.#rest.length > CHUNK_HEADER_BYTES_MAX) throw broken('a line is too long')
      from = Math.max(0, this.#rest.length - 1)
      const begun = this.#rest
      this.#rest = Buffer.alloc(0)
      if (!(await this.#more())) {
        if (begun.length > 0) throw new S3Error('IncompleteBody')
        return null
      }
      if (begun.length > 0) this.#rest = Buffer.concat([begun, this.#rest])
    }
  }

  async #more(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#pieces.next()
      if (done) return false
      if (value.length === 0) continue
      this.#rest = value
      return true
    }
  }
}
