import type { Readable } from 'node:stream'
import {
  DeleteObjectCommand,
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
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { type Condition, headersOf } from './s3-condition.ts'
import { inUse, translateError } from './s3-error.ts'
import { S3_ATTEMPTS_MAX, S3_CALL_MS_MAX, S3_DELETE_BATCH, S3_SOCKETS_MAX } from './s3-limits.ts'
import type { S3Settings } from './s3-settings.ts'

interface S3Entry {
  readonly key: string
  readonly bytes: number
}

/** The end of a page of a listing. */
export interface S3Position {
  /** The endpoint's continuation token. */
  readonly token: string
  /** The last key of the page. */
  readonly key: string
}

export interface S3Page {
  readonly entries: readonly S3Entry[]
  /** Null on the last page. */
  readonly next: S3Position | null
}

export interface S3Head {
  readonly bytes: number
  /** The ETag of the present object, for conditions. It depends only on the bytes. */
  readonly tag: string
  readonly metadata: Readonly<Record<string, string>>
}

/** Options of one call of the driver. */
export type SendOptions = { readonly abortSignal: AbortSignal }

/** The part of AWS's driver that is used; the simulation supplies its own. */
export type S3Driver = Pick<S3Client, 'send' | 'destroy'>

/** Returns a driver that sends a request up to `maxAttempts` times. */
export type ConnectS3 = (settings: S3Settings, maxAttempts: number) => S3Driver

/**
 * One bucket of an S3-compatible store. The driver retries transient failures with jitter; a circuit breaker stops calls to an endpoint that is down. Every
 * error is a `MayflyError`. `UNAVAILABLE` covers both transient failures and those that an operator has to correct, since no client can. A missing key is
 * `NOT_FOUND`, a full store `CAPACITY_EXCEEDED`.
 */
export class S3Bucket {
  readonly name: string
  readonly #at: string
  readonly #client: S3Driver
  /** Never retries: the outcome of a change must be known before the change is repeated. */
  readonly #once: S3Driver
  readonly #breaker: CircuitBreaker
  readonly #clock: Clock

  constructor(settings: S3Settings, clock: Clock, connect: ConnectS3 = connectS3) {
    const { endpoint, bucket } = settings
    this.name = bucket
    this.#at = `S3 bucket '${bucket}' at ${endpoint}`
    this.#breaker = new CircuitBreaker(this.#at, clock)
    this.#clock = clock
    this.#client = connect(settings, S3_ATTEMPTS_MAX)
    this.#once = connect(settings, 1)
  }

  /** True while the circuit breaker refuses calls. */
  get down(): boolean {
    return this.#breaker.open
  }

  /** Rejects, with the reason, if the bucket cannot be used with these settings, also with `FORBIDDEN` and `BAD_REQUEST`. */
  async check(): Promise<void> {
    try {
      await this.#send((client, options) =>
        client.send(new HeadBucketCommand({ Bucket: this.name }), options),
      )
    } catch (error) {
      const translated = translateError(error, this.#at)
      // The answer to a HEAD has no body that could name what is missing.
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

  /** A conditional put: rejects with `VERSION_MISMATCH` or `NOT_FOUND` if the condition does not hold. Not retried. */
  async write(
    object: { key: string; body: Buffer; metadata?: Readonly<Record<string, string>> | undefined },
    over: Condition,
  ): Promise<void> {
    const { key: Key, body: Body, metadata = {} } = object
    const command = { Bucket: this.name, Key, Body, Metadata: { ...metadata }, ...headersOf(over) }
    await this.send((client, options) => client.send(new PutObjectCommand(command), options), { once: true })
  }

  /** The bytes of a key, or of a non-empty range of it. With a tag, rejects with `VERSION_MISMATCH` if the object has another one. */
  async get(key: string, range?: { offset: number; length: number; tag?: string }): Promise<Buffer> {
    return await this.send(async (client, options) => {
      const Range =
        range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }
      const IfMatch = range?.tag === undefined ? {} : { IfMatch: range.tag }
      const { Body, ContentLength } = await client.send(
        new GetObjectCommand({ Bucket: this.name, Key: key, ...Range, ...IfMatch }),
        options,
      )
      return await collect(Body as Readable, ContentLength ?? 0)
    })
  }

  /** Null if the key does not exist. */
  async head(key: string): Promise<S3Head | null> {
    try {
      return await this.send(async (client, options) => {
        const found = await client.send(new HeadObjectCommand({ Bucket: this.name, Key: key }), options)
        return {
          bytes: found.ContentLength ?? 0,
          tag: found.ETag ?? '',
          metadata: found.Metadata ?? {},
        }
      })
    } catch (error) {
      if (error instanceof MayflyError && error.code === 'NOT_FOUND') return null
      throw error
    }
  }

  /**
   * A page of the keys that start with `prefix`, in byte order, after the previous page. Keys are URL-encoded, because XML cannot carry all of them. Rejects
   * with `UNAVAILABLE` if a page does not advance, since the caller would never reach the end.
   */
  async list(from: { prefix: string; after: S3Position | null; limit: number }): Promise<S3Page> {
    const { prefix, after, limit } = from
    const { Contents, EncodingType, IsTruncated, NextContinuationToken } = await this.send(
      (client, options) =>
        client.send(
          new ListObjectsV2Command({
            Bucket: this.name,
            Prefix: prefix,
            MaxKeys: limit,
            EncodingType: 'url',
            // MinIO skips some keys after a `StartAfter`, but none after its own token.
            ...(after === null ? {} : { ContinuationToken: after.token }),
          }),
          options,
        ),
    )
    const entries = (Contents ?? []).map(({ Key = '', Size = 0 }) => {
      return { key: EncodingType === 'url' ? decodeUrl(Key) : Key, bytes: Size }
    })
    const key = entries.at(-1)?.key ?? ''
    // A short page need not be the last one.
    const next = IsTruncated === true ? { token: NextContinuationToken ?? '', key } : null
    if (advances(after, { entries, next })) return { entries, next }
    const what = `${this.#at} lists keys that do not follow '${after?.key ?? ''}'`
    throw new MayflyError('UNAVAILABLE', what, { cause: new Error('A page of a listing does not advance') })
  }

  /** Removes one key if its object has this tag. MinIO ignores the condition. Not retried. */
  async deleteOne(key: string, tag: string): Promise<void> {
    const command = { Bucket: this.name, Key: key, IfMatch: tag }
    await this.send((client, options) => client.send(new DeleteObjectCommand(command), options), {
      once: true,
    })
  }

  /** Removes up to `S3_DELETE_BATCH` keys; missing keys are no error. A key that XML cannot carry is removed by a request of its own. */
  async delete(keys: readonly string[]): Promise<void> {
    const plain = keys.filter((key) => !unlisted.test(key))
    const others = keys.filter((key) => unlisted.test(key))
    await runInFlight(others, S3_SOCKETS_MAX, async (Key) => {
      const command = new DeleteObjectCommand({ Bucket: this.name, Key })
      await this.send((client, options) => client.send(command, options))
    })
    if (plain.length === 0) return
    const { Errors = [] } = await this.send((client, options) =>
      client.send(
        new DeleteObjectsCommand({
          Bucket: this.name,
          Delete: { Objects: plain.map((Key) => ({ Key })), Quiet: true },
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
    for (let after: S3Position | null = null; ; ) {
      const { entries, next }: S3Page = await this.list({ prefix, after, limit: S3_DELETE_BATCH })
      await this.delete(entries.map(({ key }) => key))
      if (next === null) return
      after = next
    }
  }

  /** One call of the driver, with a deadline and through the breaker; errors are translated. With `once` the driver does not retry it. */
  async send<T>(
    call: (client: S3Driver, options: SendOptions) => Promise<T>,
    { once = false }: { once?: boolean } = {},
  ): Promise<T> {
    try {
      return await this.#send(call, once)
    } catch (error) {
      throw inUse(error)
    }
  }

  async #send<T>(call: (client: S3Driver, options: SendOptions) => Promise<T>, once = false): Promise<T> {
    return await this.#breaker.run(async () => {
      const deadline = new AbortController()
      const timer = this.#clock.after(S3_CALL_MS_MAX, () => deadline.abort())
      try {
        return await call(once ? this.#once : this.#client, { abortSignal: deadline.signal })
      } catch (error) {
        throw translateError(error, this.#at)
      } finally {
        timer.cancel()
      }
    })
  }

  close(): void {
    this.#client.destroy()
    this.#once.destroy()
  }
}

function connectS3(
  { endpoint, region, accessKeyId, secretAccessKey }: S3Settings,
  maxAttempts: number,
): S3Driver {
  // The driver's warning about Node's version is irrelevant to operators and would hide the line that matters.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    // A bucket in the host name needs a DNS entry, which self-hosted stores usually do not have.
    forcePathStyle: true,
    retryMode: 'standard',
    // Objects that Mayfly writes carry its own checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MS_MAX,
      httpAgent: { maxSockets: S3_SOCKETS_MAX },
      httpsAgent: { maxSockets: S3_SOCKETS_MAX },
    },
    maxAttempts,
  })
}

/** Characters that XML 1.0 cannot represent, and the carriage return, which it changes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters in question.
const unlisted = /[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/

/** Whether the keys of a page are in order, after those of the previous page, and the page leads beyond its last key. */
function advances(after: S3Position | null, { entries, next }: S3Page): boolean {
  if (next !== null && (entries.length === 0 || next.token === '' || next.token === after?.token))
    return false
  return entries.every(({ key }, at) => {
    return Buffer.compare(Buffer.from(key), Buffer.from(entries[at - 1]?.key ?? after?.key ?? '')) > 0
  })
}

/** S3 encodes keys of a listing like a URL query, with a plus for each space. */
function decodeUrl(text: string): string {
  return decodeURIComponent(text.replaceAll('+', '%20'))
}

/** Collects into one buffer of the announced length, so that no byte is copied twice. */
async function collect(body: Readable, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  for await (const piece of body as AsyncIterable<Buffer>) filled += piece.copy(bytes, filled)
  return bytes.subarray(0, filled)
}
