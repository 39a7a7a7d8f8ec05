import { MayflyError } from '../../protocol/errors.ts'
import { RETRY_MS_MIN, SERVER_RESTART_MS_MAX, SERVER_STABLE_MS } from '../../protocol/limits.ts'
import { backoffMs, type Runtime, sleep } from '../../protocol/runtime.ts'
import { formatAddress, parseAddress, splitAddress } from '../../protocol/transport/address.ts'
import type { ToController } from '../../service/process/supervision.ts'
import type { Child } from './child.ts'

export interface ServerProcessOptions {
  /** The name that the user sees: `controller`, `metadata server`. */
  readonly name: string
  /** Starts the process listening at `host:port`, an IPv6 address in brackets. */
  readonly spawn: (listen: string) => Child
  readonly runtime: Runtime
  /** Prints a line for the user. */
  readonly say: (line: string) => void
}

/** Consecutive deaths that are each printed; of more, one in as many. */
const DEATHS_PRINTED = 5

/**
 * A server that is restarted at the same address when its process dies, since others know that address, with
 * back-off and for as long as it takes: the other processes, and the data of all jobs, do not depend on it.
 */
export class ServerProcess {
  readonly #options: ServerProcessOptions
  #child: Child | null = null
  #stopping = false
  /** Consecutive deaths shortly after a start. */
  #deaths = 0

  constructor(options: ServerProcessOptions) {
    this.#options = options
  }

  /**
   * Starts the server at `host:port`, where port 0 takes a free one, and resolves with the address that it advertises once it serves. A failed first start
   * rejects with `UNAVAILABLE` without a retry, since its cause, such as a taken port, is permanent.
   */
  async start(listen: string): Promise<string> {
    const child = this.#spawn(listen)
    const address = await child.serving()
    // What is advertised may be another host, with the bound port.
    const again = formatAddress(splitAddress(listen)?.host ?? '', parseAddress(address).port)
    this.#watch(child, again)
    return address
  }

  send(message: ToController): void {
    this.#child?.send(message)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#child?.stop()
  }

  kill(): void {
    this.#stopping = true
    this.#child?.kill()
  }

  #spawn(listen: string): Child {
    if (this.#stopping) throw new MayflyError('CLOSED', `The ${this.#options.name} was stopped`)
    this.#child = this.#options.spawn(listen)
    return this.#child
  }

  #watch(child: Child, listen: string): void {
    const startedMs = this.#options.runtime.clock.monotonicMs()
    void child.exited.then(({ reason }) => {
      const livedMs = this.#options.runtime.clock.monotonicMs() - startedMs
      if (livedMs >= SERVER_STABLE_MS) this.#deaths = 0
      return this.#startAgain(listen, reason)
    })
  }

  /** Never rejects. */
  async #startAgain(listen: string, reason: string): Promise<void> {
    const { name, runtime, say } = this.#options
    if (this.#stopping) return
    const deaths = ++this.#deaths
    if (deaths <= DEATHS_PRINTED) say(`the ${name} died (${reason}); starting it again`)
    else if (deaths % DEATHS_PRINTED === 0)
      say(`the ${name} died ${deaths} times in a row (${reason}); its log says why, and it is started again`)
    const bounds = { msMin: RETRY_MS_MIN, msMax: SERVER_RESTART_MS_MAX }
    await sleep(runtime.clock, backoffMs(this.#deaths - 1, bounds, runtime.random))
    const child = await this.#spawnAgain(listen)
    if (child !== null) this.#watch(child, listen)
  }

  /** The system may be out of processes or files only temporarily. Null once this is stopped. */
  async #spawnAgain(listen: string): Promise<Child | null> {
    const { name, runtime, say } = this.#options
    for (let failures = 0; !this.#stopping; failures++) {
      try {
        return this.#spawn(listen)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        if (failures === 0) say(`the ${name} cannot be started, which is tried on: ${reason}`)
      }
      await sleep(runtime.clock, SERVER_RESTART_MS_MAX)
    }
    return null
  }
}
