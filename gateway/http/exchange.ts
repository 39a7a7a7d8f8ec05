import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Job } from '../../client/job.ts'
import type { ChunkMemory } from '../../protocol/wire/chunk-memory.ts'
import type { Body } from './body.ts'
import { Pace, type Paces } from './pace.ts'
import type { S3Request } from './s3-request.ts'
import { formatXml, type Node, XML_DECLARATION } from './xml.ts'

export type Headers = Record<string, string | number>

/** The job of a request's access key. */
export interface OpenJob {
  readonly job: Job
  readonly canWrite: boolean
  /** When the job was registered. */
  readonly createdAt: Date
}

interface ExchangeOptions {
  readonly id: string
  readonly request: S3Request
  readonly bucket: string
  readonly key: string
  readonly body: Body
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly open: OpenJob
  readonly paces: Paces
  readonly chunks: ChunkMemory
  /** When it was received, Unix time. */
  readonly nowMs: number
  /** Changes the bytes that the request is charged of the memory for bodies. */
  readonly hold: (bytes: number) => void
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
}

/** One authenticated request and its answer. */
export class Exchange {
  readonly id: string
  readonly request: S3Request
  readonly bucket: string
  readonly key: string
  readonly body: Body
  readonly open: OpenJob
  readonly signal: AbortSignal
  readonly nowMs: number
  /** Memory for bodies. What is sent goes back to it. */
  readonly chunks: ChunkMemory
  readonly #options: ExchangeOptions

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.id = options.id
    this.request = options.request
    this.bucket = options.bucket
    this.key = options.key
    this.body = options.body
    this.open = options.open
    this.signal = options.signal
    this.nowMs = options.nowMs
    this.chunks = options.chunks
  }

  get job(): Job {
    return this.open.job
  }

  /** A header; in a presigned request also the parameter of that name. */
  header(name: string): string | undefined {
    return this.request.headers.get(name) ?? (name.startsWith('x-amz-') ? this.parameter(name) : undefined)
  }

  parameter(name: string): string | undefined {
    return this.request.query.get(name)
  }

  /** The request holds so many bytes from here on. */
  hold(bytes: number): void {
    this.#options.hold(bytes)
  }

  /** Whether the answer has begun. */
  get isAnswered(): boolean {
    return this.#options.outgoing.headersSent
  }

  send(status: number, headers: Headers = {}, bytes?: Buffer): void {
    const { outgoing, paces } = this.#options
    outgoing.writeHead(status, bytes === undefined ? headers : { 'content-length': bytes.length, ...headers })
    if (bytes === undefined || bytes.length === 0) return void outgoing.end()
    const pace = new Pace(paces, () => outgoing.destroy())
    pace.wait(bytes.length)
    outgoing.once('close', () => {
      pace.moved(bytes.length)
      if (outgoing.writableFinished) this.chunks.give(bytes)
    })
    outgoing.end(bytes)
  }

  sendXml(root: string, node: Node, headers: Headers = {}): void {
    const bytes = Buffer.from(XML_DECLARATION + formatXml(root, node))
    this.send(200, { 'content-type': 'application/xml', ...headers }, bytes)
  }

  /** Sends a stream that has begun, as fast as the client reads. A failure cuts the connection: bytes are missing. */
  async sendStream(
    status: number,
    headers: Headers,
    { first, rest }: { first: readonly Buffer[]; rest: Readable },
  ): Promise<void> {
    const { outgoing, paces } = this.#options
    const pace = new Pace(paces, () => outgoing.destroy())
    outgoing.writeHead(status, headers)
    try {
      for (const piece of first) if (piece.length > 0) await this.#write(piece, pace)
      for await (const piece of rest) await this.#write(piece as Buffer, pace)
      outgoing.end()
    } catch (error) {
      outgoing.destroy()
      if (!this.signal.aborted) throw error
    } finally {
      rest.destroy()
    }
  }

  /** Begins an answer whose end takes long; white space follows until `end` sends the document. */
  beginXml(): { space: () => void; end: (root: string, node: Node) => void } {
    const { outgoing } = this.#options
    outgoing.writeHead(200, { 'content-type': 'application/xml' })
    outgoing.write(XML_DECLARATION)
    return {
      space: () => void outgoing.write(' '),
      end: (root, node) => void outgoing.end(formatXml(root, node)),
    }
  }

  async #write(bytes: Buffer, pace: Pace): Promise<void> {
    const { outgoing } = this.#options
    if (outgoing.destroyed) throw new Error('the client is gone')
    const sent = (error?: Error | null): void => {
      if (!error) this.chunks.give(bytes)
    }
    if (outgoing.write(bytes, sent)) return
    pace.wait(bytes.length)
    await new Promise<void>((resolve) => {
      const go = (): void => {
        outgoing.off('drain', go).off('close', go)
        resolve()
      }
      outgoing.on('drain', go).on('close', go)
    })
    pace.moved(bytes.length)
  }
}
