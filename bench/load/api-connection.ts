import { HttpConnection } from '../clients/http-connection.ts'

/**
 * One kept connection to the HTTP API, without TLS, with one call under way. `fetch` takes more CPU for a call than the controller does,
 * and both share the machine's cores.
 */
export class ApiConnection {
  readonly #connection: HttpConnection
  readonly #head: string

  private constructor(connection: HttpConnection, head: string) {
    this.#connection = connection
    this.#head = head
  }

  static async open(to: { readonly url: string; readonly apiKey: string }): Promise<ApiConnection> {
    const url = new URL(to.url)
    const head = `host: ${url.host}\r\nauthorization: Bearer ${to.apiKey}\r\n`
    return new ApiConnection(await HttpConnection.open(url), head)
  }

  /** Rejects if the answer is no success. */
  async call<Answer>(method: string, path: string, content?: unknown): Promise<Answer> {
    const body = content === undefined ? null : Buffer.from(JSON.stringify(content))
    const type = body === null ? '' : `content-type: application/json\r\ncontent-length: ${body.length}\r\n`
    const head = `${method} ${path} HTTP/1.1\r\n${this.#head}${type}\r\n`
    const pieces: Buffer[] = []
    const take = (bytes: Buffer): void => void pieces.push(Buffer.from(bytes))
    const { status } = await this.#connection.ask(head, body, take)
    const answer = Buffer.concat(pieces).toString()
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${answer}`)
    return JSON.parse(answer) as Answer
  }

  close(): void {
    this.#connection.close()
  }
}
