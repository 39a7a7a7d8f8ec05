import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { assert } from '../../../protocol/assert.ts'
import type { SeededRandom } from '../world/random.ts'

interface Stored {
  readonly content: Buffer
  readonly tag: string
  readonly metadata: Record<string, string>
}

interface Upload {
  readonly key: string
  readonly metadata: Record<string, string>
  readonly parts: Map<number, Stored>
}

/** The condition of a write or a deletion on the present object. */
interface Over {
  readonly IfNoneMatch?: string | undefined
  readonly IfMatch?: string | undefined
}

/** Maximum number of keys in a page, whatever was requested, so that most listings have several pages. */
const PAGE_KEYS_MAX = 3

/** A bucket of an S3-compatible store. Each request is carried out in one step. */
export class S3Endpoint {
  readonly objects = new Map<string, Stored>()
  readonly uploads = new Map<string, Upload>()
  /** AWS honours `If-Match` of a deletion, MinIO ignores it. */
  readonly heedsDeletions: boolean
  readonly #random: SeededRandom
  #uploads = 0

  constructor(random: SeededRandom) {
    this.#random = random
    this.heedsDeletions = random.chance(0.5)
  }

  /** The answer to a command of the driver. Throws `S3ServiceException`. */
  apply(command: unknown): unknown {
    if (command instanceof PutObjectCommand) {
      const { Key, Body, Metadata = {} } = command.input
      this.#require(Key, command.input)
      const content = Buffer.from(Body as Uint8Array)
      this.objects.set(keyOf(Key), { content, tag: tagOf(content), metadata: Metadata })
      return {}
    }
    if (command instanceof GetObjectCommand) return this.#get(command.input)
    if (command instanceof HeadObjectCommand) {
      const found = this.objects.get(keyOf(command.input.Key))
      if (found === undefined) throw refusal(404, 'NotFound')
      return { ContentLength: found.content.length, ETag: found.tag, Metadata: found.metadata }
    }
    if (command instanceof DeleteObjectCommand) {
      const { Key, IfMatch } = command.input
      if (this.heedsDeletions && this.objects.has(keyOf(Key))) this.#require(Key, { IfMatch })
      this.objects.delete(keyOf(Key))
      return {}
    }
    if (command instanceof DeleteObjectsCommand) {
      for (const { Key } of command.input.Delete?.Objects ?? []) this.objects.delete(keyOf(Key))
      return {}
    }
    if (command instanceof ListObjectsV2Command) return this.#list(command.input)
    return this.#upload(command)
  }

  #upload(command: unknown): unknown {
    if (command instanceof CreateMultipartUploadCommand) {
      const { Key, Metadata = {} } = command.input
      const UploadId = `upload-${++this.#uploads}`
      this.uploads.set(UploadId, { key: keyOf(Key), metadata: Metadata, parts: new Map() })
      return { UploadId }
    }
    if (command instanceof UploadPartCommand) {
      const { UploadId, PartNumber = 0, Body } = command.input
      const content = Buffer.from(Body as Uint8Array)
      const part = { content, tag: tagOf(content), metadata: {} }
      this.#find(UploadId).parts.set(PartNumber, part)
      return { ETag: part.tag }
    }
    if (command instanceof CompleteMultipartUploadCommand) {
      const { UploadId = '', MultipartUpload } = command.input
      const { key, metadata, parts } = this.#find(UploadId)
      this.#require(key, command.input)
      const chosen = (MultipartUpload?.Parts ?? []).map(({ PartNumber = 0, ETag }) => {
        const part = parts.get(PartNumber)
        if (part?.tag !== ETag) throw refusal(400, 'InvalidPart')
        return part?.content ?? Buffer.alloc(0)
      })
      const content = Buffer.concat(chosen)
      this.objects.set(key, { content, tag: `${tagOf(content)}-${chosen.length}`, metadata })
      this.uploads.delete(UploadId)
      return {}
    }
    assert(command instanceof AbortMultipartUploadCommand, 'the endpoint knows each command')
    const { UploadId = '' } = command.input
    this.#find(UploadId)
    this.uploads.delete(UploadId)
    return {}
  }

  #get({ Key, Range, IfMatch }: GetObjectCommand['input']): unknown {
    const found = this.objects.get(keyOf(Key))
    if (found === undefined) throw refusal(404, 'NoSuchKey')
    if (IfMatch !== undefined && IfMatch !== found.tag) throw refusal(412, 'PreconditionFailed')
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(Range ?? '') ?? []
    if (first !== undefined && Number(first) >= found.content.length) throw refusal(416, 'InvalidRange')
    const content =
      first === undefined ? found.content : found.content.subarray(Number(first), Number(last) + 1)
    return { Body: [content], ContentLength: content.length }
  }

  /** Continues where the previous page ended, whatever was added or removed since. */
  #list({ Prefix = '', MaxKeys = 1000, ContinuationToken }: ListObjectsV2Command['input']): unknown {
    const after = ContinuationToken === undefined ? null : Buffer.from(ContinuationToken, 'base64')
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(Prefix))
      .map((key) => Buffer.from(key))
      .filter((key) => after === null || Buffer.compare(key, after) > 0)
      .sort(Buffer.compare)
    const page = keys.slice(0, Math.min(MaxKeys, 1 + this.#random.below(PAGE_KEYS_MAX)))
    const isTruncated = page.length < keys.length
    return {
      EncodingType: 'url',
      Contents: page.map((key) => ({
        Key: encodeURIComponent(key.toString()),
        Size: this.objects.get(key.toString())?.content.length ?? 0,
      })),
      IsTruncated: isTruncated,
      ...(isTruncated && { NextContinuationToken: page.at(-1)?.toString('base64') }),
    }
  }

  /** Throws unless the condition holds for the key. */
  #require(key: string | undefined, { IfNoneMatch, IfMatch }: Over): void {
    const found = this.objects.get(keyOf(key))
    if (IfNoneMatch !== undefined && found !== undefined) throw refusal(412, 'PreconditionFailed')
    if (IfMatch === undefined) return
    if (found === undefined) throw refusal(404, 'NoSuchKey')
    if (found.tag !== IfMatch) throw refusal(412, 'PreconditionFailed')
  }

  #find(id: string | undefined): Upload {
    const upload = this.uploads.get(id ?? '')
    if (upload === undefined) throw refusal(404, 'NoSuchUpload')
    return upload
  }
}

/** An error response of the endpoint. */
export function refusal(status: number, name: string): S3ServiceException {
  const fault = status < 500 ? 'client' : 'server'
  return new S3ServiceException({
    name,
    $fault: fault,
    $metadata: { httpStatusCode: status },
    message: `${status} ${name}`,
  })
}

/** Equal bytes have equal tags, whenever they were put. */
function tagOf(content: Buffer): string {
  return `"${createHash('md5').update(content).digest('hex')}"`
}

function keyOf(key: string | undefined): string {
  assert(key !== undefined, 'a request names its key')
  return key
}
