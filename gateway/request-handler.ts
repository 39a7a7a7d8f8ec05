import type { IncomingMessage, ServerResponse } from 'node:http'
import { isError } from '../protocol/errors.ts'
import { CHUNK_BYTES, KEY_BYTES_MAX } from '../protocol/limits.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Logger } from '../service/process/log.ts'
import { payloadOf } from './access/payload.ts'
import { type Proved, type SecretOf, Signatures } from './access/signature.ts'
import type { AccessLog } from './access-log.ts'
import { Body } from './http/body.ts'
import { Exchange, type OpenJob } from './http/exchange.ts'
import type { BodyMemory } from './http/memory.ts'
import type { Paces } from './http/pace.ts'
import { randomId } from './http/random-id.ts'
import { asS3Error, S3Error } from './http/s3-error.ts'
import { parseRequest, type S3Request } from './http/s3-request.ts'
import { formatXml, XML_DECLARATION } from './http/xml.ts'
import type { OpenJobs } from './jobs/open-jobs.ts'
import { REFUSED_BODY_BYTES_MAX, REFUSED_BODY_MS_MAX, STREAM_BYTES } from './limits.ts'
import { checkBucket } from './listing/bucket-names.ts'
import type { Ended } from './metrics.ts'
import { Operations, type Route } from './operations.ts'
import { checkHeaders } from './request-headers.ts'

export interface RequestHandlerOptions {
  readonly secretOf: SecretOf
  readonly jobs: OpenJobs
  readonly paces: Paces
  readonly memory: BodyMemory
  readonly clock: Clock
  /** Hosts whose subdomains are buckets. */
  readonly domains: readonly string[]
  readonly count: (ended: Ended) => void
  readonly accessLog: AccessLog
  readonly log: Logger
}

/** The fields of a request that are known so far, for its metrics and its log line. */
interface Seen {
  operation: string
  job: string
  bucket: string
  key: string
  code: string
}

interface Connection {
  readonly id: string
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly seen: Seen
  readonly signal: AbortSignal
}

/** Answers requests: parses, authenticates, finds the operation, runs it, and turns failures into S3's errors. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions
  readonly #signatures: Signatures
  readonly #operations = new Operations()

  constructor(options: RequestHandlerOptions) {
    this.#options = options
    this.#signatures = new Signatures(options.secretOf)
  }

  /** Never rejects. */
  async handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const id = randomId().toUpperCase()
    const gone = new AbortController()
    const seen: Seen = { operation: 'other', job: '', bucket: '', key: '', code: '' }
    const connection = { id, incoming, outgoing, seen, signal: gone.signal }
    outgoing.setHeader('x-amz-request-id', id)
    outgoing.setHeader('server', 'Mayfly')
    const fromMs = this.#options.clock.monotonicMs()
    const { bytesRead, bytesWritten } = incoming.socket
    outgoing.once('close', () => {
      // After a complete answer nothing listens to the signal, and creating the abort reason takes as long as checking a signature.
      if (!outgoing.writableFinished) gone.abort()
      const { socket } = incoming
      this.#ended(connection, {
        receivedBytes: Math.max(0, socket.bytesRead - bytesRead),
        sentBytes: Math.max(0, socket.bytesWritten - bytesWritten),
        ms: this.#options.clock.monotonicMs() - fromMs,
      })
    })
    try {
      await this.#run(connection)
    } catch (error) {
      this.#fail(connection, error)
    }
  }

  async #run(connection: Connection): Promise<void> {
    const { incoming, seen } = connection
    const { clock, domains, jobs } = this.#options
    const request = parseRequest(incoming, domains)
    const proved = this.#signatures.verify(request, clock.wallMs())
    checkHeaders(request)
    const route = this.#operations.find(request)
    Object.assign(seen, { operation: route.name, bucket: route.bucket, key: route.key })
    if (route.bucket !== '') checkBucket(route.bucket)
    checkKey(route.key)
    const lease = await jobs.lease(proved.accessKeyId)
    seen.job = lease.open.job.id
    try {
      await this.#runOperation(connection, { request, proved, route, open: lease.open })
    } catch (error) {
      if (isError(error, 'JOB_ENDED', 'JOB_NOT_FOUND')) jobs.forget(proved.accessKeyId)
      // Another request got that error first and has closed the job.
      else if (jobs.hasEnded(proved.accessKeyId))
        throw new S3Error('InvalidAccessKeyId', undefined, { cause: error })
      throw error
    } finally {
      atEnd(connection.outgoing, lease.release)
    }
  }

  async #runOperation(
    connection: Connection,
    { request, proved, route, open }: { request: S3Request; proved: Proved; route: Route; open: OpenJob },
  ): Promise<void> {
    const { id, incoming, outgoing, signal } = connection
    const { paces, memory, clock } = this.#options
    const expects = incoming.headers.expect !== undefined
    const body = new Body({
      incoming,
      headers: headersWithQuery(request),
      payload: payloadOf(request, proved),
      paces,
      onBegin: () => {
        if (expects) outgoing.writeContinue()
      },
    })
    const { bucket, key, handler } = route
    const nowMs = clock.wallMs()
    let held = heldBytes(route, request, body)
    const hold = (bytes: number): void => {
      memory.change(held, bytes)
      held = bytes
    }
    const { chunks } = memory
    const around = { incoming, outgoing, open, paces, chunks, nowMs, hold, signal }
    await memory.take(held)
    try {
      await handler(new Exchange({ id, request, bucket, key, body, ...around }))
    } finally {
      atEnd(outgoing, () => hold(0))
    }
  }

  #fail(connection: Connection, thrown: unknown): void {
    const { id, incoming, outgoing, seen, signal } = connection
    const error = signal.aborted
      ? new S3Error('RequestTimeout', undefined, { cause: thrown })
      : asS3Error(thrown)
    seen.code = error.code
    if (error.code === 'InternalError')
      this.#options.log.error(
        { err: error.cause ?? error, request: id, operation: seen.operation },
        'an S3 request failed',
      )
    if (outgoing.headersSent || signal.aborted) return void outgoing.destroy()
    const hasBody = !incoming.complete
    const headers = { ...error.headers, ...(hasBody && { connection: 'close' }) }
    if (error.status === 304 || incoming.method === 'HEAD') {
      outgoing.writeHead(error.status, headers).end()
    } else {
      const { bucket, key } = seen
      const document = formatXml('Error', [
        ['Code', error.code],
        ['Message', error.message],
        ['BucketName', bucket === '' ? undefined : bucket],
        ['Key', key === '' ? undefined : key],
        ['Resource', `/${bucket}${key === '' ? '' : `/${key}`}`],
        ['RequestId', id],
        ['HostId', id],
      ])
      const bytes = Buffer.from(XML_DECLARATION + document)
      outgoing
        .writeHead(error.status, {
          'content-type': 'application/xml',
          'content-length': bytes.length,
          ...headers,
        })
        .end(bytes)
    }
    if (hasBody) this.#drain(incoming)
  }

  /** Reads a part of the body that nobody wants: a client that is still sending would get a reset instead of the answer. */
  #drain(incoming: IncomingMessage): void {
    const { socket } = incoming
    const timer = this.#options.clock.after(REFUSED_BODY_MS_MAX, () => socket.destroy())
    let bytes = 0
    incoming.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes > REFUSED_BODY_BYTES_MAX) socket.destroy()
    })
    incoming.on('error', () => undefined)
    incoming.once('close', () => timer.cancel())
    incoming.resume()
  }

  #ended(
    { id, incoming, outgoing, seen }: Connection,
    moved: Pick<Ended, 'receivedBytes' | 'sentBytes' | 'ms'>,
  ): void {
    const { operation, code, bucket, key, job } = seen
    this.#options.count({ operation, code, ...moved })
    this.#options.accessLog.write({
      request: id,
      remote: incoming.socket.remoteAddress ?? '',
      operation,
      job,
      method: incoming.method ?? '',
      bucket,
      key,
      status: outgoing.statusCode,
      code,
      ...moved,
    })
  }
}

/** What a request uses is in use until its answer was sent, or cannot be. */
function atEnd(outgoing: ServerResponse, free: () => void): void {
  if (outgoing.closed || outgoing.writableFinished) free()
  else outgoing.once('close', free)
}

/** Throws `KeyTooLongError`, and `InvalidArgument` for a key that has a NUL. */
function checkKey(key: string): void {
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError')
  if (key.includes('\0')) throw new S3Error('InvalidArgument', 'A key has no NUL character')
}

/** In a presigned request, parameters count as headers. */
function headersWithQuery({ headers, query }: S3Request): ReadonlyMap<string, string> {
  const hoisted = [...query].filter(([name]) => name.startsWith('x-amz-') && !headers.has(name))
  return hoisted.length === 0 ? headers : new Map([...hoisted, ...headers])
}

/** The bytes that a request charges of the memory for bodies; for a read, those of the first piece. */
function heldBytes({ name }: Route, { headers }: S3Request, body: Body): number {
  if (name === 'GetObject') return CHUNK_BYTES
  const hasBody = headers.has('content-length') || headers.has('x-amz-decoded-content-length')
  return hasBody ? Math.min(body.length, STREAM_BYTES) : 0
}
