import { createHash } from 'node:crypto'
import { wasReplaced } from '../../client/objects/get.ts'
import { isError } from '../../protocol/errors.ts'
import { type Checksum, checksumAlgorithms, checksumDigest, checksumIn } from '../http/digests.ts'
import type { Exchange } from '../http/exchange.ts'
import { asS3Error, S3Error } from '../http/s3-error.ts'
import { childrenOf, type Element, type Node, parseXml, textOf } from '../http/xml.ts'
import { COMPLETE_SPACE_MS, PART_BYTES_MIN, PARTS_MAX, XML_BYTES_MAX } from '../limits.ts'
import { UPLOADS_BUCKET } from '../listing/bucket-names.ts'
import { type PutCondition, putCondition } from '../objects/conditions.ts'
import { statOf } from '../objects/get.ts'
import { checksumNodes, checksumType, quote } from '../objects/object-record.ts'
import { readVersion } from '../objects/read-version.ts'
import { store } from '../objects/store.ts'
import { type Part, partsWith } from './parts.ts'
import { partKey, type Upload, UploadStore } from './upload-store.ts'

/** A part as the request names it. */
interface Named {
  readonly number: number
  readonly etag: string
  readonly checksum: Checksum | null
}

interface Completed {
  readonly etag: string
  readonly checksum: Checksum | null
}

export async function completeMultipartUpload(exchange: Exchange): Promise<void> {
  const { body } = exchange
  if (body.length > XML_BYTES_MAX) throw new S3Error('MalformedXML')
  const named = readNamed(await body.all())
  const completed = complete(exchange, named).then((result): readonly [string, Node] => [
    'CompleteMultipartUploadResult',
    resultOf(exchange, result),
  ])
  await answerWithin(exchange, completed)
}

/** The answer begins while the parts are still copied, if that takes long; then an error is a document of its own, as S3 does it. */
async function answerWithin(exchange: Exchange, completed: Promise<readonly [string, Node]>): Promise<void> {
  let begun: ReturnType<Exchange['beginXml']> | null = null
  const timer = setInterval(() => {
    if (begun === null) begun = exchange.beginXml()
    else begun.space()
  }, COMPLETE_SPACE_MS)
  const answer = (): ReturnType<Exchange['beginXml']> | null => begun
  try {
    const [root, node] = await completed
    const late = answer()
    if (late === null) exchange.sendXml(root, node)
    else late.end(root, node)
  } catch (error) {
    const late = answer()
    if (late === null) throw error
    const { code, message } = asS3Error(error)
    late.end('Error', [
      ['Code', code],
      ['Message', message],
      ['RequestId', exchange.id],
    ])
  } finally {
    clearInterval(timer)
  }
}

function resultOf({ bucket, key }: Exchange, { etag, checksum }: Completed): Node {
  return [
    ['Location', `/${bucket}/${key}`],
    ['Bucket', bucket],
    ['Key', key],
    ['ETag', quote(etag)],
    ...checksumNodes(checksum),
  ]
}

/**
 * Copies the parts into one object. Right before the object becomes visible, the upload is claimed: of concurrent completions only one makes
 * its object visible, and the others give the same answer.
 */
async function complete(exchange: Exchange, named: readonly Named[]): Promise<Completed> {
  const uploads = new UploadStore(exchange)
  const id = exchange.parameter('uploadId') ?? ''
  for (;;) {
    const upload = await uploads.get(id, exchange.key)
    if (upload.state.is === 'done') return upload.state
    const former = upload.state.is === 'claimed' ? await resultOfClaim(exchange, upload) : null
    const completed = former ?? (await copyParts(exchange, upload, named))
    if (completed === null) continue
    const current = await uploads.find(id)
    if (current !== null && current.state.is !== 'done')
      await uploads.change(current, { is: 'done', ...completed })
    await uploads.removeParts(id).catch(() => undefined)
    return completed
  }
}

/** The gateway that claimed the upload died: its object either exists or never will. */
async function resultOfClaim(exchange: Exchange, { id }: Upload): Promise<Completed | null> {
  const object = await statOf(exchange).catch((error: unknown) => {
    if (error instanceof S3Error || isError(error, 'OBJECT_LOST')) return null
    throw error
  })
  return object?.put === id ? { etag: object.etag, checksum: object.checksum ?? null } : null
}

/** Null if another request has changed the upload. */
async function copyParts(
  exchange: Exchange,
  upload: Upload,
  named: readonly Named[],
): Promise<Completed | null> {
  const found = await partsWith(
    exchange,
    upload,
    named.map(({ number }) => number),
  )
  const parts = chosenOf(found, named)
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
  const size = exchange.header('x-amz-mp-object-size')
  if (size !== undefined && Number(size) !== bytes)
    throw new S3Error(
      'InvalidRequest',
      'The provided x-amz-mp-object-size header does not match what was computed.',
    )
  const condition: PutCondition = await putCondition(exchange, exchange)
  const copy = new PartsCopy(exchange, { upload, parts })
  try {
    const record = await store(exchange.job, {
      bucket: exchange.bucket,
      key: exchange.key,
      bytes,
      source: () => copy.stream(),
      verified: () => ({ md5: '', etag: etagOf(parts), checksum: copy.checksum }),
      attributes: upload.attributes,
      condition,
      nowMs: exchange.nowMs,
      put: upload.id,
      signal: exchange.signal,
      chunks: exchange.chunks,
    })
    return { etag: record.etag, checksum: record.checksum ?? null }
  } catch (error) {
    if (copy.wasOvertaken) return null
    // Nothing became visible: another completion may start at once.
    if (copy.claim !== null && isError(error, 'KEY_EXISTS', 'VERSION_MISMATCH', 'CAPACITY_EXCEEDED'))
      await new UploadStore(exchange).change(copy.claim, { is: 'open' })
    throw error
  }
}

/** The bytes of all parts, one after the other; at their end the checksum is compared and the upload claimed. */
class PartsCopy {
  wasOvertaken = false
  claim: Upload | null = null
  checksum: Checksum | null = null
  readonly #exchange: Exchange
  readonly #upload: Upload
  readonly #parts: readonly Part[]

  constructor(exchange: Exchange, { upload, parts }: { upload: Upload; parts: readonly Part[] }) {
    this.#exchange = exchange
    this.#upload = upload
    this.#parts = parts
  }

  async *stream(): AsyncGenerator<Buffer> {
    const { algorithm, checksumType } = this.#upload
    const digest = algorithm === null ? null : checksumDigest(algorithm)
    const isFull = checksumType === 'FULL_OBJECT'
    for (const part of this.#parts) {
      if (!isFull) digest?.update(Buffer.from(part.checksum?.value ?? '', 'base64'))
      for await (const piece of this.#read(part)) {
        if (isFull) digest?.update(piece)
        yield piece
      }
    }
    if (algorithm !== null && digest !== null) {
      const value = Buffer.from(await digest.digest()).toString('base64')
      this.checksum = { algorithm, value: isFull ? value : `${value}-${this.#parts.length}` }
    }
    this.#compare()
    this.claim = await new UploadStore(this.#exchange).change(this.#upload, {
      is: 'claimed',
      claimedMs: Date.now(),
    })
    this.wasOvertaken = this.claim === null
    if (this.wasOvertaken) throw new S3Error('NoSuchUpload')
  }

  #compare(): void {
    const expected = checksumIn(this.#exchange.request.headers)
    if (expected === null) return
    if (
      expected.algorithm !== this.checksum?.algorithm ||
      checksumType(expected) !== this.#upload.checksumType
    )
      throw new S3Error(
        'InvalidRequest',
        'The upload was not created with a checksum of this algorithm and type.',
      )
    if (expected.value !== this.checksum.value)
      throw new S3Error(
        'BadDigest',
        `The ${expected.algorithm} you specified did not match the calculated checksum.`,
      )
  }

  async *#read({ number, bytes, version }: Part): AsyncGenerator<Buffer> {
    const key = partKey(this.#upload.id, number)
    const range = { start: 0, end: bytes }
    try {
      yield* readVersion(this.#exchange, { bucket: UPLOADS_BUCKET, key, version, range })
    } catch (error) {
      if (!wasReplaced(error)) throw error
      // Replaced, or removed by a completion that was faster.
      const current = await new UploadStore(this.#exchange).find(this.#upload.id)
      this.wasOvertaken = current?.version !== this.#upload.version
      throw new S3Error('InvalidPart', undefined, { cause: error })
    }
  }
}

/** The parts that the request names. Throws `InvalidPart`, or `EntityTooSmall`. */
function chosenOf(parts: readonly Part[], named: readonly Named[]): Part[] {
  const byNumber = new Map(parts.map((part) => [part.number, part]))
  const chosen = named.map(({ number, etag, checksum }) => {
    const part = byNumber.get(number)
    const isSame = part?.etag === etag && (checksum === null || part.checksum?.value === checksum.value)
    if (part === undefined || !isSame) throw new S3Error('InvalidPart')
    return part
  })
  if (chosen.slice(0, -1).some(({ bytes }) => bytes < PART_BYTES_MIN)) throw new S3Error('EntityTooSmall')
  return chosen
}

/** As S3: the MD5 of the parts' MD5s, and their number. */
function etagOf(parts: readonly Part[]): string {
  const hash = createHash('md5')
  for (const { etag } of parts) hash.update(Buffer.from(etag, 'hex'))
  return `${hash.digest('hex')}-${parts.length}`
}

/** Throws `MalformedXML`, or `InvalidPartOrder`. */
function readNamed(bytes: Buffer): Named[] {
  const document = parseXml(bytes, 'CompleteMultipartUpload')
  const named = childrenOf(document, 'Part').map(readPart)
  if (named.length === 0 || named.length > PARTS_MAX) throw new S3Error('MalformedXML')
  const isAscending = named.every(
    ({ number }, index) => index === 0 || number > (named[index - 1]?.number ?? 0),
  )
  if (!isAscending) throw new S3Error('InvalidPartOrder')
  return named
}

function readPart(element: Element): Named {
  const number = textOf(element, 'PartNumber') ?? ''
  const etag = textOf(element, 'ETag')?.replace(/^"(.*)"$/, '$1') ?? ''
  if (!/^\d{1,5}$/.test(number) || etag === '') throw new S3Error('MalformedXML')
  const checksums = checksumAlgorithms.flatMap((algorithm) => {
    const value = textOf(element, `Checksum${algorithm}`)
    return value === undefined ? [] : [{ algorithm, value }]
  })
  return { number: Number(number), etag, checksum: checksums[0] ?? null }
}
