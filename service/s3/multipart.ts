import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { isError, MayflyError } from '../../protocol/errors.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { type Condition, headersOf } from './s3-condition.ts'
import { S3_PART_BYTES, S3_PARTS_IN_FLIGHT, S3_PARTS_MAX } from './s3-limits.ts'

export interface Upload {
  readonly key: string
  /** Total bytes of `pieces`. */
  readonly bytes: number
  readonly metadata?: Readonly<Record<string, string>>
}

/**
 * Makes an uploaded object visible with a write that may be retried; the driver does not repeat a conditional
 * one. All bytes have been read from their source before.
 */
export type Place = (write: (over?: Condition) => Promise<void>) => Promise<void>

/**
 * Writes an object of any length: in one request if short, otherwise in parts, a few at a time. It becomes
 * visible atomically at the end; after a failure nothing remains.
 */
export async function upload(
  bucket: S3Bucket,
  to: Upload,
  pieces: AsyncIterable<Buffer>,
  place: Place = (write) => write(),
): Promise<void> {
  const partBytes = Math.max(S3_PART_BYTES, Math.ceil(to.bytes / S3_PARTS_MAX))
  const source = partsOf(pieces, partBytes)
  if (to.bytes <= partBytes) {
    const only = (await source.next()).value ?? Buffer.alloc(0)
    requireLength(only.length, to)
    await requireEnd(source, to)
    const { key, metadata } = to
    return await place((over) =>
      over === undefined
        ? bucket.put(key, only, metadata)
        : bucket.write({ key, body: only, metadata }, over),
    )
  }
  const id = await begin(bucket, to)
  try {
    const parts = await sendParts(bucket, { key: to.key, id }, source)
    requireLength(
      parts.reduce((sum, { bytes }) => sum + bytes, 0),
      to,
    )
    await place((over) => complete(bucket, { key: to.key, id, parts }, over))
  } catch (error) {
    // If the outcome is unknown, the parts are left to the store's own rule.
    if (!isError(error, 'OUTCOME_UNKNOWN')) await abandon(bucket, { key: to.key, id })
    throw error
  }
}

interface Open {
  readonly key: string
  readonly id: string
}

interface Part {
  readonly number: number
  readonly tag: string
  readonly bytes: number
}

async function begin(bucket: S3Bucket, { key, metadata = {} }: Upload): Promise<string> {
  const command = new CreateMultipartUploadCommand({
    Bucket: bucket.name,
    Key: key,
    Metadata: { ...metadata },
  })
  const { UploadId } = await bucket.send((client, options) => client.send(command, options))
  if (UploadId === undefined)
    throw new MayflyError('UNAVAILABLE', 'The S3 endpoint began an upload without a name')
  return UploadId
}

/** Several workers send one part after another. */
async function sendParts(bucket: S3Bucket, to: Open, parts: AsyncIterator<Buffer>): Promise<Part[]> {
  const sent: Part[] = []
  let number = 0
  let ended = false
  const lane = async (): Promise<void> => {
    while (!ended) {
      const next = await parts.next()
      if (next.done === true) break
      sent.push(await sendPart(bucket, { ...to, number: ++number }, next.value))
    }
    ended = true
  }
  const lanes = await Promise.allSettled(Array.from({ length: S3_PARTS_IN_FLIGHT }, lane))
  for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason
  return sent.sort((a, b) => a.number - b.number)
}

async function sendPart(bucket: S3Bucket, to: Open & { number: number }, body: Buffer): Promise<Part> {
  const { key, id, number } = to
  const command = { Bucket: bucket.name, Key: key, UploadId: id, PartNumber: number, Body: body }
  const { ETag = '' } = await bucket.send((client, options) =>
    client.send(new UploadPartCommand(command), options),
  )
  return { number, tag: ETag, bytes: body.length }
}

async function complete(
  bucket: S3Bucket,
  { key, id, parts }: Open & { parts: readonly Part[] },
  over?: Condition,
): Promise<void> {
  const Parts = parts.map(({ number, tag }) => ({ PartNumber: number, ETag: tag }))
  const command = { Bucket: bucket.name, Key: key, UploadId: id, MultipartUpload: { Parts } }
  await bucket.send(
    (client, options) =>
      client.send(new CompleteMultipartUploadCommand({ ...command, ...headersOf(over) }), options),
    { once: over !== undefined },
  )
}

/** If this fails too, the store's rule for incomplete uploads removes the parts. */
async function abandon(bucket: S3Bucket, { key, id }: Open): Promise<void> {
  const command = { Bucket: bucket.name, Key: key, UploadId: id }
  try {
    await bucket.send((client, options) => client.send(new AbortMultipartUploadCommand(command), options))
  } catch (error) {
    if (!(error instanceof MayflyError)) throw error
  }
}

/** Regroups the bytes into parts of one length; the last may be shorter. */
async function* partsOf(pieces: AsyncIterable<Buffer>, partBytes: number): AsyncGenerator<Buffer, undefined> {
  let part: Buffer[] = []
  let bytes = 0
  for await (let piece of pieces) {
    while (bytes + piece.length >= partBytes) {
      const taken = piece.subarray(0, partBytes - bytes)
      yield Buffer.concat([...part, taken])
      piece = piece.subarray(taken.length)
      part = []
      bytes = 0
    }
    if (piece.length === 0) continue
    part.push(piece)
    bytes += piece.length
  }
  if (bytes > 0) yield Buffer.concat(part)
  return undefined
}

/** Reads the source to its end: an error there fails the upload, and so do more bytes than announced. */
async function requireEnd(source: AsyncIterator<Buffer>, to: Upload): Promise<void> {
  const more = await source.next()
  if (more.done !== true) requireLength(to.bytes + more.value.length, to)
}

function requireLength(bytes: number, to: Upload): void {
  if (bytes === to.bytes) return
  throw new MayflyError('OBJECT_LOST', `${bytes} of the ${to.bytes} bytes of the object are left`)
}
