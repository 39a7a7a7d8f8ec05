import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What an answer had. */
export interface Answered {
  readonly status: number
  readonly bodyBytes: number
}

const READ_BYTES = 256 * 1024

/**
 * A connection of HTTP/1.1 that is kept alive. It costs its process less than any client that parses: of an answer, which
 * must have a Content-Length, the status and the length are read, and bytes are counted in one buffer.
 */
export class HttpConnection {
  readonly #socket: Socket
  #head = ''
  /** Bytes of the body that are missing; null while the head is read. */
  #left: number | null = null
  #answered: Answered = { status: 0, bodyBytes: 0 }
  #settle: { resolve: (answered: Answered) => void; reject: (error: Error) => void } | null = null

  private constructor(host: string, port: number) {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const callback = (bytes: number): boolean => {
      this.#receive(buffer.subarray(0, bytes))
      return true
    }
    this.#socket = connect({ host, port, noDelay: true, onread: { buffer, callback } })
    this.#socket.on('close', () => this.#settle?.reject(new Error('the connection was closed')))
  }

  static async open({ hostname, port }: URL): Promise<HttpConnection> {
    const connection = new HttpConnection(hostname, Number(port))
    await once(connection.#socket, 'connect')
    connection.#socket.on('error', (error) => connection.#settle?.reject(error))
    return connection
  }

  /** One at a time. */
  ask(head: string, body: Buffer | null): Promise<Answered> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
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

  #receive(bytes: Buffer): void {
    let bodyBytes = bytes.length
    if (this.#left === null) {
      const before = this.#head.length
      this.#head += bytes.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      const status = Number(this.#head.slice(9, 12))
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? 0)
      this.#answered = { status, bodyBytes: length }
      this.#left = length
      bodyBytes = bytes.length - (end + 4 - before)
    }
    this.#left -= bodyBytes
    if (this.#left > 0) return
    this.#head = ''
    this.#left = null
    this.#settle?.resolve(this.#answered)
  }
}
