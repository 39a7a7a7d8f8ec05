import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * One kept connection to the HTTP API with one call under way. `fetch` takes more CPU for a call than the controller does, and both
 * share the machine's cores.
 */
export class ApiConnection {
  readonly #socket: Socket
  readonly #head: string
  #received = ''
  #failure: Error | null = null
  /** Called when something was received or the connection has failed. */
  #wake: () => void = () => undefined

  private constructor(socket: Socket, head: string) {
    this.#socket = socket
    this.#head = head
    socket.setNoDelay(true)
    // Bytes as characters, so that lengths are bytes.
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      this.#wake()
    })
    const fail = (failure: Error): void => {
      this.#failure ??= failure
      this.#wake()
    }
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('the controller closed the connection')))
  }

  /** Without TLS. */
  static async open(to: { readonly url: string; readonly apiKey: string }): Promise<ApiConnection> {
    const { hostname, port, host } = new URL(to.url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return new ApiConnection(socket, `host: ${host}\r\nauthorization: Bearer ${to.apiKey}\r\n`)
  }

  /** Rejects if the answer is no success. */
  async call<Answer>(method: string, path: string, content?: unknown): Promise<Answer> {
    const body = content === undefined ? '' : JSON.stringify(content)
    const type =
      body === '' ? '' : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
    this.#received = ''
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${this.#head}${type}\r\n${body}`)
    for (;;) {
      const answer = this.#answer()
      if (answer !== null) {
        if (!answer.isSuccess) throw new Error(`${method} ${path}: ${answer.body}`)
        return JSON.parse(answer.body) as Answer
      }
      if (this.#failure !== null) throw this.#failure
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Null until it is complete. The API gives every answer a length. */
  #answer(): { isSuccess: boolean; body: string } | null {
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return null
    const head = this.#received.slice(0, headEnd)
    const bytes = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
    const bodyAt = headEnd + '\r\n\r\n'.length
    if (this.#received.length < bodyAt + bytes) return null
    const body = Buffer.from(this.#received.slice(bodyAt, bodyAt + bytes), 'latin1').toString()
    return { isSuccess: head.startsWith('HTTP/1.1 2'), body }
  }
}
