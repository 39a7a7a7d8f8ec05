import type { Readable } from 'node:stream'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { MayflyError } from '../../protocol/errors.ts'
import { CONNECT_MS_MAX } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { inUse, translateError } from './s3-error.ts'
import { S3_ATTEMPTS_MAX, S3_CALL_MS_MAX, S3_DELETE_BATCH, S3_SOCKETS_MAX } from './s3-limits.ts'
import type { S3Settings } from './s3-settings.ts'

export interface S3Entry {
  readonly key: string
  readonly bytes: number
}

export interface S3Head {
  readonly bytes: number
  readonly metadata: Readonly<Record<string, string>>
}

/** What one call of the driver is told beside its command. */
export type SendOptions = { readonly abortSignal: AbortSignal }

/**
 * One bucket of an S3-compatible store. The driver repeats what failed for a moment, with jitter; a breaker keeps calls from
 * an endpoint that stays down. Every error is a `MayflyError`: `UNAVAILABLE`, whether it may pass or an operator has to mend it, for it is no
 * fault of who put or asked for an object; `NOT_FOUND` for a key that is not there; `CAPACITY_EXCEEDED` where the store is full.
 */
export class S3Bucket {
  readonly name: string
  readonly #at: string
  readonly #client: S3Client
  readonly #breaker: CircuitBreaker

  constructor(settings: S3Settings, clock: Clock) {
    const { endpoint, region, bucket, accessKeyId, secretAccessKey } = settings
    this.name = bucket
    this.#at = `S3 bucket '${bucket}' at ${endpoint}`
    this.#breaker = new CircuitBreaker(this.#at, clock)
    // What the driver has to say about Node's age is for whoever builds Mayfly: on an operator's screen it hides the line that counts.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
    this.#client = new S3Client({
      endpoint,
      region,
      credentials: { accessKeyId, secretAccessKey },
      // The bucket as part of the host name would need a DNS entry for each, which stores at home do not have.
      forcePathStyle: true,
      maxAttempts: S3_ATTEMPTS_MAX,
      retryMode: 'standard',
      // What is written carries checksums of our own.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_MS_MAX,
        httpAgent: { maxSockets: S3_SOCKETS_MAX },
        httpsAgent: { maxSockets: S3_SOCKETS_MAX },
      },
    })
  }

  /** The endpoint is known to be down: calls are refused for the moment. */
  get down(): boolean {
    return this.#breaker.open
  }

  /** Rejects, saying what is wrong, if the bucket cannot be used with these settings: also with `FORBIDDEN` and `BAD_REQUEST`. */
  async check(): Promise<void> {
    try {
      await this.#send((client, options) =>
        client.send(new HeadBucketCommand({ Bucket: this.name }), options),
      )
    } catch (error) {
      const translated = translateError(error, this.#at)
      // The answer to a HEAD has no body that could say what is missing.
      if (translated.code !== 'NOT_FOUND') throw translated
      throw new MayflyError('BAD_REQUEST', `${this.#at} does not exist: create the bucket first`)
    }
  }

  async put(key: string, body: Buffer, metadata: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.send((client, options) =>
      client.send(
        new PutObjectCommand({ Bucket: this.name, Key: key, Body: body, Metadata: { ...metadata } }),
        options,
      ),
    )
  }

  /** The bytes of a key, or those in a range of it that is not empty. */
  async get(key: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return await this.send(async (client, options) => {
      const Range =
        range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }
      const { Body, ContentLength } = await client.send(
        new GetObjectCommand({ Bucket: this.name, Key: key, ...Range }),
        options,
      )
      return await collect(Body as Readable, ContentLength ?? 0)
    })
  }

  /** Null where the key is not there. */
  async head(key: string): Promise<S3Head | null> {
    try {
      return await this.send(async (client, options) => {
        const found = await client.send(new HeadObjectCommand({ Bucket: this.name, Key: key }), options)
        return {
          bytes: found.ContentLength ?? 0,
          metadata: found.Metadata ?? {},
        }
      })
    } catch (error) {
      if (error instanceof MayflyError && error.code === 'NOT_FOUND') return null
      throw error
    }
  }

  /** A page of the keys that start with `prefix` and come behind `after`, in byte order. */
  async list(from: { prefix: string; after: string; limit: number }): Promise<S3Entry[]> {
    return await this.send(async (client, options) => {
      const { Contents = [] } = await client.send(
        new ListObjectsV2Command({
          Bucket: this.name,
          Prefix: from.prefix,
          MaxKeys: from.limit,
          ...(from.after === '' ? {} : { StartAfter: from.after }),
        }),
        options,
      )
      return Contents.map(({ Key = '', Size = 0 }) => ({ key: Key, bytes: Size }))
    })
  }

  /** Removes up to `S3_DELETE_BATCH` keys; those that are not there are no error. */
  async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return
    const { Errors = [] } = await this.send((client, options) =>
      client.send(
        new DeleteObjectsCommand({
          Bucket: this.name,
          Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
        }),
        options,
      ),
    )
    const [first] = Errors
    if (first === undefined) return
    throw new MayflyError('UNAVAILABLE', `${this.#at} did not delete ${Errors.length} keys (${first.Code})`)
  }

  /** Removes every key that starts with `prefix`. */
  async deletePrefix(prefix: string): Promise<void> {
    for (;;) {
      const page = await this.list({ prefix, after: '', limit: S3_DELETE_BATCH })
      await this.delete(page.map(({ key }) => key))
      if (page.length < S3_DELETE_BATCH) return
    }
  }

  /** One call of the driver, with a deadline, through the breaker, its error translated. */
  async send<T>(call: (client: S3Client, options: SendOptions) => Promise<T>): Promise<T> {
    try {
      return await this.#send(call)
    } catch (error) {
      throw inUse(error)
    }
  }

  async #send<T>(call: (client: S3Client, options: SendOptions) => Promise<T>): Promise<T> {
    return await this.#breaker.run(async () => {
      try {
        return await call(this.#client, { abortSignal: AbortSignal.timeout(S3_CALL_MS_MAX) })
      } catch (error) {
        throw translateError(error, this.#at)
      }
    })
  }

  close(): void {
    this.#client.destroy()
  }
}

/** One buffer of the length that was announced, so that nothing is copied twice. */
async function collect(body: Readable, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  for await (const piece of body as AsyncIterable<Buffer>) filled += piece.copy(bytes, filled)
  return bytes.subarray(0, filled)
}
