/** BLPOP blocks its connection, so each call that waits uses a connection of its own. */
export class WaitingConnections<Connection> {
  readonly #open: () => Promise<Connection>
  readonly #idle: Connection[] = []
  readonly #waiting = new Set<Connection>()

  constructor(open: () => Promise<Connection>) {
    this.#open = open
  }

  /** Runs a call on a connection that no other one waits on. */
  async use<Answer>(call: (connection: Connection) => Promise<Answer>): Promise<Answer> {
    const connection = this.#idle.pop() ?? (await this.#open())
    this.#waiting.add(connection)
    const answer = await call(connection)
    this.#waiting.delete(connection)
    this.#idle.push(connection)
    return answer
  }

  get all(): readonly Connection[] {
    return [...this.#idle, ...this.#waiting]
  }
}
