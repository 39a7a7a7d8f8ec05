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

/** Where a page of a listing has ended. */
export interface S3Position {
  /** The endpoint's own name for it. */
  readonly token: string
  /** The last one of the page. */
  readonly key: string
}

export interface S3Page {
  readonly entries: readonly S3Entry[]
  /** Null on the last one. */
  readonly next: S3Position | null
}

export interface S3Head {
  readonly bytes: number
  /** Names what lies there now, for a condition; as long as the same bytes lie there it stays the same. */
  readonly tag: string
  readonly metadata: Readonly<Record<string, string>>
}

/** What one call of the driver is told beside its command. */
export type SendOptions = { readonly abortSignal: AbortSignal }

/** As much of AWS's driver as is used; the simulation brings its own. */
export type S3Driver = Pick<S3Client, 'send' | 'destroy'>

/** Gives a driver that sends a request up to `maxAttempts` times. */
export type ConnectS3 = (settings: S3Settings, maxAttempts: number) => S3Driver

/**
 * One bucket of an S3-compatible store. The driver repeats what failed for a moment, with jitter; a breaker keeps calls from
 * an endpoint that stays down. Every error is a `MayflyError`: `UNAVAILABLE`, whether it may pass or an operator has to mend it, for it is no
 * fault of who put or asked for an object; `NOT_FOUND` for a key that is not there; `CAPACITY_EXCEEDED` where the store is full.
 */
export class S3Bucket {
  readonly name: string
  readonly #at: string
  readonly #client: S3Driver
  /** Repeats nothing: for a change of which has to be known what became of it before it is made again. */
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

  /** A put in the place of what is said, and of nothing else: `VERSION_MISMATCH` or `NOT_FOUND` where that is not there. Not repeated. */
  async write(
    object: { key: string; body: Buffer; metadata?: Readonly<Record<string, string>> | undefined },
    over: Condition,
  ): Promise<void> {
    const { key: Key, body: Body, metadata = {} } = object
    const command = { Bucket: this.name, Key, Body, Metadata: { ...metadata }, ...headersOf(over) }
    await this.send((client, options) => client.send(new PutObjectCommand(command), options), { once: true })
  }

  /**
   * The bytes of a key, or those in a range of it that is not empty; with a tag those that had it, or `VERSION_MISMATCH`.
   */
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

  /** Null where the key is not there. */
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
   * A page of the keys that start with `prefix`, in byte order, from where the page before has ended. Keys travel encoded, for XML
   * cannot carry all of them. Rejects with `UNAVAILABLE` where a page does not lead on: whoever asks for the next one would ask for ever.
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
            // MinIO passes over some keys behind a `StartAfter`, and none behind its own token.
            ...(after === null ? {} : { ContinuationToken: after.token }),
          }),
          options,
        ),
    )
    const entries = (Contents ?? []).map(({ Key = '', Size = 0 }) => {
      return { key: EncodingType === 'url' ? decodeUrl(Key) : Key, bytes: Size }
    })
    const key = entries.at(-1)?.key ?? ''
    // A page may be shorter than it could be: that does not make it the last one.
    const next = IsTruncated === true ? { token: NextContinuationToken ?? '', key } : null
    if (advances(after, { entries, next })) return { entries, next }
    const what = `${this.#at} lists keys that do not follow '${after?.key ?? ''}'`
    throw new MayflyError('UNAVAILABLE', what, { cause: new Error('A page of a listing does not advance') })
  }

  /** Removes one key. `tag` names what may go, where the store heeds that; MinIO does not. Not repeated. */
  async deleteOne(key: string, tag: string): Promise<void> {
    const command = { Bucket: this.name, Key: key, IfMatch: tag }
    await this.send((client, options) => client.send(new DeleteObjectCommand(command), options), {
      once: true,
    })
  }

  /** Removes up to `S3_DELETE_BATCH` keys; those that are not there are no error. One that XML cannot carry goes alone. */
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

  /** One call of the driver, with a deadline, through the breaker, its error translated. `once`: the driver does not repeat it. */
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
  // What the driver has to say about Node's age is for whoever builds Mayfly: on an operator's screen it hides the line that counts.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    // The bucket as part of the host name would need a DNS entry for each, which stores at home do not have.
    forcePathStyle: true,
    retryMode: 'standard',
    // What is written carries checksums of our own.
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

/** Characters that XML 1.0 has no way to write, and the one whose line end it changes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters in question.
const unlisted = /[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/

/** Whether keys come in their order, behind those of the page before, and go on behind their last one. */
function advances(after: S3Position | null, { entries, next }: S3Page): boolean {
  if (next !== null && (entries.length === 0 || next.token === '' || next.token === after?.token))
    return false
  return entries.every(({ key }, at) => {
    return Buffer.compare(Buffer.from(key), Buffer.from(entries[at - 1]?.key ?? after?.key ?? '')) > 0
  })
}

/** As S3 encodes keys in a listing: a URL's query, with a plus for each space. */
function decodeUrl(text: string): string {
  return decodeURIComponent(text.replaceAll('+', '%20'))
}

/** One buffer of the length that was announced, so that nothing is copied twice. */
async function collect(body: Readable, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  for await (const piece of body as AsyncIterable<Buffer>) filled += piece.copy(bytes, filled)
  return bytes.subarray(0, filled)
}
