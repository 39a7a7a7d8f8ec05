import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What an answer had. */
export interface Answered {
  readonly status: number
  readonly bodyBytes: number
}

const READ_BYTES = 256 * 1024

type TakeBytes = (bytes: Buffer) => void
const discard: TakeBytes = () => undefined

/**
 * A connection of HTTP/1.1 that is kept alive. It costs its process less than any client that parses: of an answer, which
 * must have a Content-Length, the status and the length are read, and the body passes through one buffer.
 */
export class HttpConnection {
  readonly #socket: Socket
  #head = ''
  /** Bytes of the body that are missing; null while the head is read. */
  #left: number | null = null
  #answered: Answered = { status: 0, bodyBytes: 0 }
  #settle: { resolve: (answered: Answered) => void; reject: (error: Error) => void } | null = null
  #takeBody = discard
  #failure: Error | null = null

  private constructor(host: string, port: number) {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const callback = (bytes: number): boolean => {
      this.#receive(buffer.subarray(0, bytes))
      return true
    }
    this.#socket = connect({ host, port, noDelay: true, onread: { buffer, callback } })
    this.#socket.on('close', () => this.#fail(new Error('the connection was closed')))
  }

  static async open({ hostname, port }: URL): Promise<HttpConnection> {
    const connection = new HttpConnection(hostname, Number(port))
    await once(connection.#socket, 'connect')
    connection.#socket.on('error', (error) => connection.#fail(error))
    return connection
  }

  /** One at a time. `takeBody` gets the pieces of the body; each is valid until it returns. */
  ask(head: string, body: Buffer | null, takeBody = discard): Promise<Answered> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure)
      this.#settle = { resolve, reject }
      this.#takeBody = takeBody
      this.#socket.cork()
      this.#socket.write(head, 'latin1')
      if (body !== null) this.#socket.write(body)
      this.#socket.uncork()
    })
  }

  close(): void {
    this.#settle = null
    this.#socket.destroy()
  }

  #fail(failure: Error): void {
    this.#failure ??= failure
    this.#settle?.reject(this.#failure)
  }

  #receive(bytes: Buffer): void {
    let bodyAt = 0
    if (this.#left === null) {
      const before = this.#head.length
      this.#head += bytes.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      const status = Number(this.#head.slice(9, 12))
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? 0)
      this.#answered = { status, bodyBytes: length }
      this.#left = length
      bodyAt = end + 4 - before
    }
    this.#takeBody(bytes.subarray(bodyAt))
    this.#left -= bytes.length - bodyAt
    if (this.#left > 0) return
    this.#head = ''
    this.#left = null
    this.#settle?.resolve(this.#answered)
  }
}
